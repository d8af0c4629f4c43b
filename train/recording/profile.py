"""What a training does with its time and its machine, written as it goes; `diagnose` judges it later.

    with profiling(settings) as profile:                      # settings None: everything below costs nothing
        for batch in profile.steps(batches):                  # a step begins where its data is waited for
            with profile.span("Forward"): ...                 # Forward, Backward, Optimizer, Evaluation, Checkpoint
        for batch in profile.steps(batches, "EVAL"): ...

On a GPU work goes on after the call that started it. Spans there lie on the GPU's own time: an event is put into its stream
at both ends and read later, when it has passed, without ever waiting for it. So a wait for data is the time that the
stream stood idle for it, and a wait that the GPU spent on earlier work is none. The forms of the files are those
of SageMaker's profiler (train/recording/profile_files.py); with `diagnose` they are all that is shared.
"""

import json
import logging
import os
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from train.job import Job, JobError
from train.recording.profile_files import SpanFiles, SystemFiles
from train.recording.profile_marks import Clock, HostMarks, StreamMarks
from train.recording.profile_system import Meters, gpu_meter

DATA_WAIT, WORKER = (
    ("DataLoaderIter", "DataLoaderIter::GetNext"),
    ("DataLoaderWorker", "DataLoaderWorker"),
)
INTERVALS_MS = (100, 200, 500, 1000, 5000, 60000)  # those SageMaker allows
LAST_WRITE_S = 20.0  # that the end of a training waits for a disk that hangs
Batch = TypeVar("Batch")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProfileSettings:
    """Where a profile goes and how often the machine is measured. `steps`: first and last step of torch.profiler's trace, from 0."""

    folder: Path
    interval_ms: int = 500
    rotate_bytes: int = 10 * 1024 * 1024
    rotate_s: int = 60
    node: str = "algo-1"
    rank: int = 0
    steps: tuple[int, int] | None = None


def read_settings(
    job: Job, folder: Path, asked: bool, steps: tuple[int, ...] = (), rank: int = 0
) -> ProfileSettings | None:
    """The settings of a job; None when nobody asked for a profile.

    asked, steps: the hyperparameters profile and profile_steps; steps ask as well. SageMaker's profilerconfig.json asks where it
    holds ProfilingParameters and is not disabled; interval, rotation and folder are then its own, else `folder`. JobError for what is unusable.
    """
    if steps and (len(steps) != 2 or not 0 <= steps[0] <= steps[1]):
        raise JobError(
            f"hyperparameter profile_steps must be a first and a last step, such as 10,12; found {','.join(map(str, steps))}"
        )
    config = job.config("profilerconfig.json")
    parameters = config.get("ProfilingParameters") or {}
    if config.get("DisableProfiler"):
        config = parameters = {}
    if not (asked or steps or parameters):
        return None
    interval_ms = _number(config, "ProfilingIntervalInMilliseconds", 500)
    if interval_ms not in INTERVALS_MS:
        raise JobError(
            f"profilerconfig.json: ProfilingIntervalInMilliseconds must be one of {', '.join(map(str, INTERVALS_MS))}; found {interval_ms}"
        )
    path = parameters.get("LocalPath")
    host = str(job.config("resourceconfig.json").get("current_host") or "algo-1")
    return ProfileSettings(
        job.path(path) if path else folder,
        interval_ms,
        _number(parameters, "RotateMaxFileSizeInBytes", ProfileSettings.rotate_bytes),
        _number(parameters, "RotateFileCloseIntervalInSeconds", ProfileSettings.rotate_s),
        re.sub("[^A-Za-z0-9-]+", "-", host),
        rank,
        (steps[0], steps[1]) if steps else None,
    )


def _number(values: dict, name: str, default: int) -> int:
    try:
        number = int(float(values.get(name) or default))
    except (TypeError, ValueError, OverflowError):
        number = 0
    if number < 1:
        raise JobError(
            f"profilerconfig.json: {name} must be a whole number above 0; found '{values[name]}'"
        )
    return number


class NoProfile:
    """The interface of Profile for a training that nobody profiles."""

    _nothing = nullcontext()

    def span(self, name: str) -> AbstractContextManager:
        return self._nothing

    def worker(self) -> AbstractContextManager:
        return self._nothing

    def steps(self, batches: Iterable[Batch], mode: str = "TRAIN") -> Iterable[Batch]:
        return batches


@contextmanager
def profiling(
    settings: ProfileSettings | None, device_type: str = "cpu"
) -> Iterator["NoProfile | Profile"]:
    """A profile for the time of the `with`; its files are whole at the end, also where an error ends it.

    A folder that cannot be written costs the profile, not the training.
    """
    try:
        profile = Profile(settings, device_type) if settings else None
    except OSError as error:
        log.warning("profile: there will be none: %s", error)
        profile = None
    if profile is None:
        yield NoProfile()
        return
    try:
        yield profile
    finally:
        profile.close()


class Profile:
    """Measures and records until it is closed. A disk that takes no more ends the profile with a warning, not the training."""

    def __init__(self, settings: ProfileSettings, device_type: str = "cpu"):
        self._settings, self._broken, self._now = settings, False, Clock()
        self._host = HostMarks(self._now)
        self._marks = StreamMarks(self._now) if device_type == "cuda" else self._host
        self._done: deque[tuple] = deque()
        self._numbers: Counter[str] = Counter()
        self._step: int | None = None
        self._trace = None
        places = settings.folder, settings.node, settings.rotate_bytes, settings.rotate_s
        self._system = SystemFiles(*places) if settings.rank == 0 else None
        self._spans = SpanFiles(settings.folder, f"{settings.rank}-{settings.node}", *places[2:])
        self._meters = Meters(gpu_meter()) if settings.rank == 0 else None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="profile", daemon=True)
        self._thread.start()

    def span(self, name: str, phase: str | None = None) -> AbstractContextManager:
        """What is inside belongs to `name`, in the step under way if there is one. Not for threads: they have `worker`."""
        return _Span(
            self,
            self._marks,
            phase or name,
            name,
            {} if self._step is None else {"step_num": self._step},
        )

    def worker(self) -> AbstractContextManager:
        """What is inside loads data, in a thread of its own."""
        return _Span(self, self._host, *WORKER, {"pid": threading.get_native_id()})

    def steps(self, batches: Iterable[Batch], mode: str = "TRAIN") -> Iterator[Batch]:
        """The batches, each the data of one step; a step ends when the next is asked for. One that is broken off is not recorded."""
        phase, iterator = f"Step:ModeKeys.{mode}", iter(batches)
        try:
            while True:
                number = self._numbers[mode]
                if mode == "TRAIN":
                    self._traced(number)
                self._step = number
                start = self._marks.mark()
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
                self.keep(
                    *DATA_WAIT, start, self._marks.mark(), {"step_num": number, "pid": os.getpid()}
                )
                yield batch
                self.keep(phase, phase, start, self._marks.mark(), {"step_num": number})
                self._numbers[mode] += 1
        finally:
            self._step = None

    def keep(self, *span) -> None:
        """Leave a span (phase, name, mark at its start, mark at its end, arguments) to the thread that writes."""
        if not self._broken:
            self._done.append(span)

    def _traced(self, number: int) -> None:
        """Start and end torch.profiler's window before the step of this number."""
        first, last = self._settings.steps or (-1, -1)
        if number == first and self._trace is None:
            from torch.profiler import profile as torch_profile

            self._trace = torch_profile()
            self._trace.start()
        elif self._trace and number == last + 1:
            self._end_trace()

    def _end_trace(self) -> None:
        """Write the window's Chrome trace, and beside it what each operator took of it."""
        trace, self._trace = self._trace, None
        trace.stop()
        folder = self._settings.folder / "framework" / "pytorch" / "detailed_profiling"
        path = (
            folder
            / f"{self._settings.rank}-{self._settings.node}_steps_{self._settings.steps[0]}_{self._settings.steps[1]}"
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trace.export_chrome_trace(f"{path}.trace.json.gz")
            rows = [
                {
                    "name": entry.key,
                    "count": entry.count,
                    "cpu_us": round(entry.self_cpu_time_total),
                    "gpu_us": round(entry.self_device_time_total),
                }
                for entry in trace.key_averages()
            ]
            Path(f"{path}.operators.json").write_text(json.dumps(rows), encoding="utf-8")
        except OSError as error:
            log.warning("profile: the trace could not be written to '%s': %s", folder, error)

    def _run(self) -> None:
        """The thread: measure, write what is done, wait for the next round."""
        interval = self._settings.interval_ms / 1000
        beat, last = time.monotonic(), False
        try:
            while not last:
                last = self._closing.wait(max(0.0, beat - time.monotonic()))
                if self._meters:
                    self._system.write(self._now(), self._meters.measure())
                self._write()
                self._spans.rotate(self._now())
                beat = max(beat + interval, time.monotonic())
        except Exception as error:  # whatever it is, a training must not end for its profile
            self._broken = True
            self._done.clear()
            log.warning("profile: stopped, the training goes on: %s", error)

    def _write(self) -> None:
        rows = []
        while self._done:
            phase, name, start, end, arguments = self._done[0]
            marks = self._host if phase == WORKER[0] else self._marks
            times = marks.times(start, end)
            if times is None:
                break
            self._done.popleft()
            rows.append((phase, name, *times, arguments))
            if name.startswith("Step:"):
                marks.passed(start, times[0])
        self._spans.write(rows)

    def close(self) -> None:
        """Write all that is left, and end the files."""
        self._closing.set()
        self._thread.join(LAST_WRITE_S)
        if self._thread.is_alive():
            log.warning(
                "profile: its end is not written: the disk has not answered for %g s", LAST_WRITE_S
            )
            return
        try:
            if self._trace:
                self._end_trace()
            if not self._broken:
                self._marks.wait()
                self._write()
            self._spans.close()
            if self._system:
                self._system.close()
        except Exception as error:
            log.warning("profile: its end could not be written: %s", error)


class _Span:
    """A span of time between entering and leaving; kept even when an error leaves it."""

    __slots__ = ("_profile", "_marks", "_phase", "_name", "_arguments", "_start")

    def __init__(
        self,
        profile: Profile,
        marks: "HostMarks | StreamMarks",
        phase: str,
        name: str,
        arguments: dict[str, int],
    ):
        self._profile, self._marks, self._phase, self._name, self._arguments = (
            profile,
            marks,
            phase,
            name,
            arguments,
        )

    def __enter__(self) -> None:
        self._start = self._marks.mark()

    def __exit__(self, *_) -> None:
        self._profile.keep(
            self._phase, self._name, self._start, self._marks.mark(), self._arguments
        )
