"""The profile on disk, in SageMaker's own form; `diagnose` reads it, and shares no code with this but the form.

    system/incremental/<YYYYMMDDHH>/<second>.<node>.json                    one JSON object a line, appended as measured
    framework/pevents/<YYYYMMDDHH>/<microsecond>_<node>_pythontimeline.json  Chrome trace events: one JSON list
    framework/<node>_pythontimeline.json.tmp                                 the list that is still growing, without its end

Both start a new file after so many seconds or bytes, so that what is done can be read, or uploaded, while training goes on.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path

from train.recording.profile_system import Metric

HOUR = "%Y%m%d%H"  # UTC


class SystemFiles:
    """Metrics, a line each. OSError when the disk does not take them."""

    def __init__(self, folder: Path, node: str, rotate_bytes: int, rotate_s: int):
        self._folder, self._node = folder / "system" / "incremental", node
        self._rotate_bytes, self._rotate_s = rotate_bytes, rotate_s
        self._file, self._period = None, -1

    def write(self, at: float, metrics: Iterable[Metric]) -> None:
        """Append the metrics of one moment (seconds since the epoch) and hand them to the system."""
        period = int(at // self._rotate_s)
        if self._file is None or period != self._period or self._file.tell() > self._rotate_bytes:
            self._open(
                at if self._file is None or period == self._period else period * self._rotate_s
            )
            self._period = period
        node = json.dumps(self._node)
        self._file.write(
            "".join(
                f'{{"Type":"{metric.type}","Name":"{metric.name}","Dimension":"{metric.dimension}","Value":{metric.value:.2f},"NodeId":{node},'
                f'"Timestamp":{at:.6f}}}\n'
                for metric in metrics
            )
        )
        self._file.flush()

    def _open(self, at: float) -> None:
        self.close()
        path = self._folder / time.strftime(HOUR, time.gmtime(at)) / f"{int(at)}.{self._node}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def close(self) -> None:
        if self._file:
            self._file.close()


class SpanFiles:
    """Spans of time as Chrome trace events; a phase is what Chrome calls a process. OSError when the disk does not take them."""

    def __init__(self, folder: Path, node: str, rotate_bytes: int, rotate_s: int):
        self._folder, self._node = folder / "framework", node
        self._rotate_bytes, self._rotate_s = rotate_bytes, rotate_s
        self._open_path = self._folder / f"{node}_pythontimeline.json.tmp"
        self._file, self._phases, self._start_us, self._end_us = None, {}, 0, 0
        self._folder.mkdir(
            parents=True, exist_ok=True
        )  # tells a reader that a training without spans never came to its first step

    def write(self, spans: Iterable[tuple[str, str, float, float, dict[str, int]]]) -> None:
        """Append (phase, name, start in seconds since the epoch, duration in seconds, arguments) of each span."""
        for phase, name, start_s, duration_s, arguments in spans:
            start_us, duration_us = round(start_s * 1e6), max(0, round(duration_s * 1e6))
            if self._file is None:
                self._begin(start_us)
            if phase not in self._phases:
                self._phases[phase] = len(self._phases) + 1
                self._metadata(self._phases[phase], {"name": phase})
            words = ", ".join(f'"{key}": "{value}"' for key, value in arguments.items())
            self._file.write(
                f',\n{{"name": "{name}", "pid": {self._phases[phase]}, "ph": "X", "ts": {start_us - self._start_us}, '
                f'"dur": {duration_us}, "args": {{{words}}}}}'
            )
            self._end_us = max(self._end_us, start_us + duration_us)
        if self._file:
            self._file.flush()

    def rotate(self, now: float) -> None:
        """Give the growing file its name when it is old or large enough; now: seconds since the epoch."""
        if self._file and (
            now - self._start_us / 1e6 > self._rotate_s or self._file.tell() > self._rotate_bytes
        ):
            self.close()

    def _begin(self, start_us: int) -> None:
        if self._open_path.exists():  # of a run that ended without closing it
            self._open_path.rename(
                self._folder
                / f"{self._open_path.stat().st_mtime_ns // 1000}_{self._open_path.name}"
            )
        self._file = self._open_path.open("w", encoding="utf-8")
        self._start_us, self._end_us, self._phases = start_us, start_us, {}
        self._file.write(
            '[\n{"name": "process_name", "ph": "M", "pid": 0, "args": {"start_time_since_epoch_in_micros": %d}}'
            % start_us
        )
        self._metadata(0, {"name": "slipway"})

    def _metadata(self, phase: int, arguments: dict) -> None:
        self._file.write(
            ",\n" + json.dumps({"name": "process_name", "ph": "M", "pid": phase, "args": arguments})
        )

    def close(self) -> None:
        """End the list and give the file its last name."""
        if self._file is None:
            return
        self._file.write("\n]\n")
        self._file.close()
        self._file = None
        path = (
            self._folder
            / "pevents"
            / time.strftime(HOUR, time.gmtime(self._end_us / 1e6))
            / f"{self._end_us}_{self._node}_pythontimeline.json"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open_path.rename(path)
