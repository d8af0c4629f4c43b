"""Points in time at which work begins and ends: the processor's at once, a GPU stream's when the GPU gets there."""

import time
from collections.abc import Callable
from types import ModuleType


class Clock:
    """Seconds since the epoch that never step back."""

    def __init__(self):
        self._base = time.time() - time.perf_counter()

    def __call__(self) -> float:
        return self._base + time.perf_counter()


class HostMarks:
    """Marks that are times already."""

    def __init__(self, now: Callable[[], float]):
        self.mark = now

    def times(self, start: float, end: float) -> tuple[float, float]:
        """Where the span begins, in seconds since the epoch, and how long it is."""
        return start, end - start

    def passed(self, start: float, at: float) -> None:
        """Nothing to remember."""

    def wait(self) -> None:
        """Nothing to wait for."""


class StreamMarks:
    """Marks that are events in the current CUDA stream; one wait for the GPU ties the first to the clock, none after it.

    cuda: torch.cuda, or what stands in for it. An event knows its distance from another only as a float32 of milliseconds, so each
    step that is read becomes the origin of the next.
    """

    def __init__(self, now: Callable[[], float], cuda: ModuleType | None = None):
        if cuda is None:
            from torch import cuda
        self._cuda, self._now = cuda, now
        self._origin, self._origin_s = None, 0.0

    def mark(self):
        """An event at the end of all work given to the stream so far."""
        if self._origin is None:
            self._cuda.synchronize()
            self._origin, self._origin_s = self._event(), self._now()
        return self._event()

    def _event(self):
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def times(self, start, end) -> tuple[float, float] | None:
        """Where the span begins, in seconds since the epoch, and how long it is; None while the GPU is not past it."""
        if not (start.query() and end.query()):
            return None
        return self._origin_s + self._origin.elapsed_time(start) / 1000, start.elapsed_time(
            end
        ) / 1000

    def passed(self, start, at: float) -> None:
        """Measure what follows from this mark, which lies at so many seconds."""
        self._origin, self._origin_s = start, at

    def wait(self) -> None:
        """Until the GPU is past all marks."""
        self._cuda.synchronize()
