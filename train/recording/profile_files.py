"""Spans of a profile on disk, in SageMaker's own form; `diagnose` reads it, sharing only the form.

The machine's use lies beside them (artifact/host/system_files.py).

    framework/pevents/<YYYYMMDDHH>/<microsecond>_<node>_pythontimeline.json
        spans: Chrome trace events, one JSON list
    framework/<node>_pythontimeline.json.tmp
        the list that is still growing, without its end

A new file is begun after some seconds or bytes, so that finished files can be read, or uploaded,
while the training goes on.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TextIO

from artifact.host.system_files import HOUR


class Span(NamedTuple):
    """A span of time; its phase is a process in Chrome's trace viewer."""

    phase: str
    name: str
    start_s: float  # since the epoch
    duration_s: float
    arguments: dict[str, int]


class SpanFiles:
    """Spans as Chrome trace events. OSError when the disk does not take them."""

    def __init__(self, folder: Path, node: str, rotate_bytes: int, rotate_s: int):
        self._folder = folder / "framework"
        self._node = node
        self._rotate_bytes = rotate_bytes
        self._rotate_s = rotate_s
        self._open_path = self._folder / f"{node}_pythontimeline.json.tmp"
        self._file: TextIO | None = None
        self._phases: dict[str, int] = {}  # Chrome's process number of each phase in the file
        self._start_us = 0  # the file's first moment
        self._end_us = 0  # the file's last moment
        # An empty folder shows a reader that the training has not come to its first step.
        self._folder.mkdir(parents=True, exist_ok=True)

    def write(self, spans: Iterable[Span]) -> None:
        """Append spans and flush them."""
        for span in spans:
            start_us = round(span.start_s * 1e6)
            file = self._file or self._begin(start_us)
            if span.phase not in self._phases:
                self._phases[span.phase] = len(self._phases) + 1
                _write_metadata(file, self._phases[span.phase], {"name": span.phase})
            duration_us = max(0, round(span.duration_s * 1e6))
            arguments = {key: str(value) for key, value in span.arguments.items()}
            event = {
                "name": span.name,
                "pid": self._phases[span.phase],
                "ph": "X",
                "ts": start_us - self._start_us,
                "dur": duration_us,
                "args": arguments,
            }
            file.write(",\n" + json.dumps(event))
            self._end_us = max(self._end_us, start_us + duration_us)
        if self._file:
            self._file.flush()

    def rotate(self, now: float) -> None:
        """Give the growing file its name when it is old or large enough.

        now: seconds since the epoch.
        """
        if self._file is None:
            return
        old = now - self._start_us / 1e6 > self._rotate_s
        if old or self._file.tell() > self._rotate_bytes:
            self.close()

    def _begin(self, start_us: int) -> TextIO:
        if self._open_path.exists():  # of a run that did not close it
            changed_us = self._open_path.stat().st_mtime_ns // 1000
            self._open_path.rename(self._folder / f"{changed_us}_{self._open_path.name}")
        file = self._open_path.open("w", encoding="utf-8")
        self._file = file
        self._start_us = start_us
        self._end_us = start_us
        self._phases = {}
        start: dict[str, object] = {"start_time_since_epoch_in_micros": start_us}
        file.write("[\n" + _metadata(0, start))
        _write_metadata(file, 0, {"name": "slipway"})
        return file

    def close(self) -> None:
        """End the list and give the file its last name."""
        if self._file is None:
            return
        self._file.write("\n]\n")
        self._file.close()
        self._file = None
        hour = time.strftime(HOUR, time.gmtime(self._end_us / 1e6))
        name = f"{self._end_us}_{self._node}_pythontimeline.json"
        path = self._folder / "pevents" / hour / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open_path.rename(path)


def _write_metadata(file: TextIO, phase: int, arguments: dict[str, object]) -> None:
    file.write(",\n" + _metadata(phase, arguments))


def _metadata(phase: int, arguments: dict[str, object]) -> str:
    """A trace event that describes a phase."""
    return json.dumps({"name": "process_name", "ph": "M", "pid": phase, "args": arguments})
