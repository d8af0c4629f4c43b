"""What a training does with its time and its machine, written as it goes; `diagnose` judges it.

    with profiling(settings) as profile:                # settings None: it all costs nothing
        for batch in profile.steps(batches):            # a step begins where it waits for data
            with profile.span("Forward"): ...           # Forward, Backward, Optimizer, ...
        for batch in profile.steps(batches, "EVAL"): ...

On a GPU, work goes on after the call that started it. Spans there lie on the GPU's own time: an
event is put into its stream at both ends and read after it has passed, without waiting for it. So a
wait for data is the time that the stream was idle for it; a wait while the GPU worked is none. The
files have the form of SageMaker's profiler (train/recording/profile_files.py), which `diagnose`
reads; nothing else is shared with it.
"""

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, TypeVar

from artifact.host.system_files import SystemFiles
from artifact.host.system_metrics import Meters, gpu_meter
from train.recording.profile_files import Span, SpanFiles
from train.recording.profile_marks import Clock, HostMarks, Marks, StreamMarks
from train.recording.profile_settings import ProfileSettings
from train.recording.profile_trace import TraceWindow

# phase and name of a span
DATA_WAIT = ("DataLoaderIter", "DataLoaderIter::GetNext")
WORKER = ("DataLoaderWorker", "DataLoaderWorker")
LAST_WRITE_S = 20.0  # the longest that the end of a training waits for a disk that hangs
Batch = TypeVar("Batch")

log = logging.getLogger(__name__)


class _MarkedSpan(NamedTuple):
    """A span whose times are not known yet."""

    phase: str
    name: str
    marks: Marks
    start: Any  # a mark
    end: Any  # a mark
    arguments: dict[str, int]


class NoProfile:
    """The interface of Profile, for a training without one."""

    _nothing = nullcontext()

    def span(self, name: str) -> AbstractContextManager[None]:
        return self._nothing

    def worker(self) -> AbstractContextManager[None]:
        return self._nothing

    def steps(self, batches: Iterable[Batch], mode: str = "TRAIN") -> Iterable[Batch]:
        return batches


@contextmanager
def profiling(
    settings: ProfileSettings | None, device_type: str = "cpu"
) -> Iterator["NoProfile | Profile"]:
    """A profile for the time of the `with`; its files are whole at the end, after an error, too.

    A folder that cannot be written costs the profile, not the training.
    """
    profile = None
    try:
        if settings:
            profile = Profile(settings, device_type)
    except OSError as error:
        log.warning("profile: there will be none: %s", error)
    if profile is None:
        yield NoProfile()
        return
    try:
        yield profile
    finally:
        profile.close()


class Profile:
    """Measures and records until it is closed.

    A full disk ends the profile with a warning, not the training.
    """

    def __init__(self, settings: ProfileSettings, device_type: str = "cpu"):
        self._broken = False
        self._now = Clock()
        self._host = HostMarks(self._now)
        self._marks: Marks = self._host
        if device_type == "cuda":
            self._marks = StreamMarks(self._now)
        self._done: deque[_MarkedSpan] = deque()
        self._numbers: Counter[str] = Counter()  # the next step's number, by mode
        self._step: int | None = None  # the number of the step under way
        self._interval_s = settings.interval_ms / 1000
        worker = f"{settings.rank}-{settings.node}"
        self._trace = TraceWindow(settings.folder, worker, settings.steps)
        self._system: SystemFiles | None = None
        self._meters: Meters | None = None
        rotation = (settings.rotate_bytes, settings.rotate_s)
        if settings.rank == 0:
            self._system = SystemFiles(settings.folder, settings.node, *rotation)
        self._spans = SpanFiles(settings.folder, worker, *rotation)
        if settings.rank == 0:
            self._meters = Meters(gpu_meter())
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="profile", daemon=True)
        self._thread.start()

    def span(self, name: str, phase: str | None = None) -> AbstractContextManager[None]:
        """A span called `name`, in the step under way if there is one.

        Other threads must not use it; they have `worker`.
        """
        arguments = {} if self._step is None else {"step_num": self._step}
        return _Recording(self, self._marks, phase or name, name, arguments)

    def worker(self) -> AbstractContextManager[None]:
        """A span of loading data, in a thread of its own."""
        return _Recording(self, self._host, *WORKER, {"pid": threading.get_native_id()})

    def steps(self, batches: Iterable[Batch], mode: str = "TRAIN") -> Iterator[Batch]:
        """The batches, each the data of one step.

        A step ends when the next batch is asked for. A step that an error ends is not recorded.
        """
        phase = f"Step:ModeKeys.{mode}"
        iterator = iter(batches)
        marks = self._marks
        try:
            while True:
                number = self._numbers[mode]
                if mode == "TRAIN":
                    self._trace.before_step(number)
                self._step = number
                start = marks.mark()
                try:
                    batch = next(iterator)
                except StopIteration:
                    return
                waited = {"step_num": number, "pid": os.getpid()}
                self.keep(_MarkedSpan(*DATA_WAIT, marks, start, marks.mark(), waited))
                yield batch
                step = {"step_num": number}
                self.keep(_MarkedSpan(phase, phase, marks, start, marks.mark(), step))
                self._numbers[mode] += 1
        finally:
            self._step = None

    def keep(self, span: _MarkedSpan) -> None:
        """Leave a span to the thread that writes."""
        if not self._broken:
            self._done.append(span)

    def _run(self) -> None:
        """The thread: measure, write finished spans, wait for the next round."""
        beat = time.monotonic()
        last = False
        try:
            while not last:
                last = self._closing.wait(max(0.0, beat - time.monotonic()))
                if self._meters and self._system:
                    self._system.write(self._now(), self._meters.measure())
                self._write()
                self._spans.rotate(self._now())
                beat = max(beat + self._interval_s, time.monotonic())
        except Exception as error:  # any: a training must not end for its profile
            self._broken = True
            self._done.clear()
            log.warning("profile: stopped, the training goes on: %s", error)

    def _write(self) -> None:
        """Write the spans that are passed, in their order, up to the first that is not."""
        rows = []
        while self._done:
            span = self._done[0]
            times = span.marks.times(span.start, span.end)
            if times is None:
                break
            self._done.popleft()
            rows.append(Span(span.phase, span.name, *times, span.arguments))
            if span.name.startswith("Step:"):
                span.marks.passed(span.start, times[0])
        self._spans.write(rows)

    def close(self) -> None:
        """Write all that is left, and end the files."""
        self._closing.set()
        self._thread.join(LAST_WRITE_S)
        if self._thread.is_alive():
            silence = f"the disk has not answered for {LAST_WRITE_S:g} s"
            log.warning("profile: its end is not written: %s", silence)
            return
        try:
            self._trace.end()
            if not self._broken:
                self._marks.wait()
                self._write()
            self._spans.close()
            if self._system:
                self._system.close()
        except Exception as error:  # any: a training must not end for its profile
            log.warning("profile: its end could not be written: %s", error)


class _Recording:
    """Records the time between entering and leaving, also when an error leaves it."""

    __slots__ = ("_profile", "_marks", "_phase", "_name", "_arguments", "_start")

    def __init__(
        self, profile: Profile, marks: Marks, phase: str, name: str, arguments: dict[str, int]
    ):
        self._profile = profile
        self._marks = marks
        self._phase = phase
        self._name = name
        self._arguments = arguments

    def __enter__(self) -> None:
        self._start = self._marks.mark()

    def __exit__(self, *_: object) -> None:
        end = self._marks.mark()
        span = _MarkedSpan(self._phase, self._name, self._marks, self._start, end, self._arguments)
        self._profile.keep(span)
