"""The request to stop: SageMaker's SIGTERM, and the clock's where the job has `time_limit_s`.

SageMaker sends SIGKILL 120 seconds after SIGTERM. By the clock learning ends first, so that the
artifact can be exported and measured within the limit. What is optional is left out once the limit
has passed.
"""

import os
import signal
import time
from contextlib import suppress
from types import FrameType

# Measuring may still take this long after a request to stop; the whole exit takes less than 30 s.
MEASURING_S = 12.0
LEARNING_SHARE = 0.75  # of the limit


class Stop:
    """Whether a stop was requested. Loops call it between two steps."""

    def __init__(self) -> None:
        self.requested_at: float | None = None  # time.monotonic()

    def __call__(self) -> bool:
        return self.requested_at is not None

    def listen(self) -> "Stop":
        """Take SIGTERM and SIGINT as requests.

        To be called before anything slow is imported: PID 1 ignores signals without a handler.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request)
        # A launcher blocks them until there is a handler.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        return self

    def request(self, number: int = signal.SIGTERM, frame: FrameType | None = None) -> None:
        """Ask for a stop. Also the handler of the signals."""
        if self.requested_at is not None:
            return
        self.requested_at = time.monotonic()
        with suppress(OSError):  # the reader of the output may be gone already
            # Not print: the main thread may be inside it, and it must not be entered twice.
            os.write(1, b"stop requested: saving and leaving\n")

    def age_s(self) -> float:
        """Seconds since the request; 0 without one."""
        if self.requested_at is None:
            return 0.0
        return time.monotonic() - self.requested_at

    def no_time_left(self) -> bool:
        """Whether the request is so old that measuring must end."""
        return self.age_s() > MEASURING_S


class Deadline(Stop):
    """Another request to stop, and also one from a moment on, in time.monotonic()."""

    def __init__(self, stop: Stop, moment: float):
        super().__init__()
        self.stop = stop
        self.moment = moment

    def __call__(self) -> bool:
        return self.stop() or self.passed()

    def passed(self) -> bool:
        """Whether the clock asks to stop."""
        return time.monotonic() >= self.moment

    def age_s(self) -> float:
        """Seconds since the request."""
        return self.stop.age_s()

    def no_time_left(self) -> bool:
        """Whether measuring must end."""
        return self.stop.no_time_left() or self.passed()


def deadlines(stop: Stop, started: float, limit_s: int) -> tuple[Stop, Stop]:
    """The requests to stop learning, and to stop altogether. limit_s: 0 for no limit."""
    if not limit_s:
        return stop, stop
    return (
        Deadline(stop, started + LEARNING_SHARE * limit_s),
        Deadline(stop, started + limit_s),
    )
