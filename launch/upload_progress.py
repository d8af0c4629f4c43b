"""How far an upload is, in bytes, with the time that is left: a bar, or a line now and then."""

import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from artifact.text.numbers import about
from recipes.terminal import Bar

PROGRESS_S = 5.0  # between two lines


class Progress:
    """Counts bytes that threads send. name: of the channel; total: bytes to send in all.

    bar: shows them in a terminal; without it there are lines.
    """

    def __init__(
        self, name: str, total: int, print_line: Callable[[str], None], bar: Bar | None = None
    ):
        self._bar = bar
        self._name = name
        self._total = total
        self._print = print_line
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._printed = self._started
        self._sent = 0

    def add(self, count: int) -> None:
        with self._lock:
            self._sent += count
            if self._bar and self._bar.drawn:
                sent_mb = round(self._sent / 1e6, 1)
                self._bar.show(f"upload: {self._name}", sent_mb, round(self._total / 1e6, 1), "MB")
                return
            now = time.monotonic()
            if now - self._printed < PROGRESS_S:
                return
            self._printed = now
            self._print(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        speed = self._sent / seconds
        left_s = max(self._total - self._sent, 0) / max(speed, 1)
        return (
            f"upload: {self._name}: {self._sent / 1e6:.1f} of {self._total / 1e6:.1f} MB, "
            f"{speed / 1e6:.1f} MB/s, {about(left_s)} left"
        )


class CountedFile:
    """A file as the body of a request; what is read for the first time counts as sent.

    An attempt that is made again reads from the beginning, and counts nothing twice.
    """

    def __init__(self, file: BinaryIO, progress: Progress):
        self._file = file
        self._progress = progress
        self._highest = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        position = self._file.tell()
        if position > self._highest:
            self._progress.add(position - self._highest)
            self._highest = position
        return piece

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
