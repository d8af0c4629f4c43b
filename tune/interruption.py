"""Ctrl-C and SIGTERM between two looks at a search, never within one, where files and a database are being written."""

import signal
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While this context lasts the first signal waits for `check` or `sleep`; a second one is a KeyboardInterrupt wherever it comes.

    A signal that is ignored, as a shell has it for SIGINT of what it runs in the background, stays so. Main thread only.
    """

    def __init__(self):
        self._came = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """KeyboardInterrupt when a signal has come."""
        if self._came:
            raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Sleep, and check before and after it."""
        self.check()
        time.sleep(seconds)
        self.check()

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            raise KeyboardInterrupt
        self._came = True
