"""Marks of the points in time at which work begins and ends.

The CPU is past a mark at once, a GPU stream when the GPU gets there.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol


class Clock:
    """Seconds since the epoch that never step back."""

    def __init__(self) -> None:
        self._base = time.time() - time.perf_counter()

    def __call__(self) -> float:
        return self._base + time.perf_counter()


class Marks(Protocol):
    """Makes marks and measures the spans between them. A mark may be of any type."""

    def mark(self) -> Any:
        """A mark at the end of all work so far."""
        ...

    def times(self, start: Any, end: Any) -> tuple[float, float] | None:
        """The span's begin, seconds since the epoch, and its length, s; None before its end."""
        ...

    def passed(self, start: Any, at: float) -> None:
        """Note that a mark lies at a time, seconds since the epoch."""
        ...

    def wait(self) -> None:
        """Wait until all marks are passed."""
        ...


class HostMarks:
    """Marks of the CPU, which are times already."""

    def __init__(self, now: Callable[[], float]):
        self._now = now

    def mark(self) -> float:
        return self._now()

    def times(self, start: float, end: float) -> tuple[float, float]:
        return start, end - start

    def passed(self, start: float, at: float) -> None:
        """Nothing to note."""

    def wait(self) -> None:
        """Nothing to wait for."""


class StreamMarks:
    """Marks that are events in the current CUDA stream.

    Only the first mark waits for the GPU, to tie events to the clock. The distance of two events is
    a float32 of milliseconds, too coarse over hours, so each step that is read becomes the origin
    of the next. cuda: torch.cuda, or a stand-in for it.
    """

    def __init__(self, now: Callable[[], float], cuda: Any = None):
        if cuda is None:
            import torch

            cuda = torch.cuda
        self._cuda = cuda
        self._now = now
        self._origin: Any = None  # an event
        self._origin_s = 0.0  # seconds since the epoch

    def mark(self) -> Any:
        if self._origin is None:
            self._cuda.synchronize()
            self._origin = self._event()
            self._origin_s = self._now()
        return self._event()

    def _event(self) -> Any:
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def times(self, start: Any, end: Any) -> tuple[float, float] | None:
        if not start.query() or not end.query():
            return None
        begin_ms = self._origin.elapsed_time(start)
        return self._origin_s + begin_ms / 1000, start.elapsed_time(end) / 1000

    def passed(self, start: Any, at: float) -> None:
        self._origin = start
        self._origin_s = at

    def wait(self) -> None:
        self._cuda.synchronize()
