"""The request to stop, as SageMaker sends it: SIGTERM, then SIGKILL 120 seconds later."""

import os
import signal
import time
from contextlib import suppress

MEASURING_S = 12.0  # what may still be spent on measuring once a stop was asked for; the whole leave takes below 30


class Stop:
    """Called, it tells whether a stop was asked for; loops ask between two steps."""

    def __init__(self):
        self.requested_at: float | None = None

    def __call__(self) -> bool:
        return self.requested_at is not None

    def listen(self) -> "Stop":
        """Take SIGTERM and SIGINT as requests. Before anything slow is imported: PID 1 ignores what it has no handler for."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.request)
        # a launcher blocks them until there is somebody to take them
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
        return self

    def request(self, *_) -> None:
        if self.requested_at is None:
            self.requested_at = time.monotonic()
            with suppress(OSError):  # who read the output may be gone already
                os.write(
                    1, b"stop requested: saving and leaving\n"
                )  # print may be under way in the main thread: it must not be entered twice

    def no_time_left(self) -> bool:
        """Whether a stop was asked for so long ago that measuring must end."""
        return self.requested_at is not None and time.monotonic() - self.requested_at > MEASURING_S
