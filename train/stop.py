"""The request to stop, as SageMaker sends it: SIGTERM, then SIGKILL 120 seconds later."""

import os
import signal
import time
from contextlib import suppress
from types import FrameType

# Measuring may still take this long after a request to stop; the whole exit takes less than 30 s.
MEASURING_S = 12.0


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
