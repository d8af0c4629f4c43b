"""The machine's use on disk, in the form of SageMaker's profiler.

    system/incremental/<YYYYMMDDHH>/<second>.<node>.json
        metrics: one JSON object in a line, appended as measured

A new file is begun after some seconds or bytes, so that finished files can be read, or uploaded,
while the training goes on.
"""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from artifact.host.system_metrics import Metric

HOUR = "%Y%m%d%H"  # UTC


class SystemFiles:
    """Metrics, a line each. OSError when the disk does not take them."""

    def __init__(self, folder: Path, node: str, rotate_bytes: int, rotate_s: int):
        self._folder = folder / "system" / "incremental"
        self._node = node
        self._rotate_bytes = rotate_bytes
        self._rotate_s = rotate_s
        self._file: TextIO | None = None
        self._period = -1  # the file's number of rotations since the epoch

    def write(self, at: float, metrics: Iterable[Metric]) -> None:
        """Append the metrics of one moment (seconds since the epoch) and flush them."""
        file = self._file_at(at)
        node = json.dumps(self._node)
        for metric in metrics:
            file.write(
                f'{{"Type":"{metric.type}","Name":"{metric.name}",'
                f'"Dimension":"{metric.dimension}","Value":{metric.value:.2f},'
                f'"NodeId":{node},"Timestamp":{at:.6f}}}\n'
            )
        file.flush()

    def _file_at(self, at: float) -> TextIO:
        """The file for a moment; a new one when the open one is too old or too large."""
        period = int(at // self._rotate_s)
        if self._file is None:
            self._file = self._open(at)
        elif period != self._period:
            self._file = self._open(period * self._rotate_s)
        elif self._file.tell() > self._rotate_bytes:
            self._file = self._open(at)
        self._period = period
        return self._file

    def _open(self, at: float) -> TextIO:
        self.close()
        path = self._folder / time.strftime(HOUR, time.gmtime(at)) / f"{int(at)}.{self._node}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")

    def close(self) -> None:
        if self._file:
            self._file.close()
