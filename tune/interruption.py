"""Ctrl-C and SIGTERM come between two looks at a search, never while files are being written."""

import signal
import time
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within this context the first signal waits for `check` or `sleep`.

    A second one is a KeyboardInterrupt at once. A signal that is ignored stays so: a shell ignores
    SIGINT for what it runs in the background. Main thread only.
    """

    def __init__(self) -> None:
        self._came = False
        self._before: dict[signal.Signals, Any] = {}  # signal.signal's own type is private

    def __enter__(self) -> "Interruption":
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *_: object) -> None:
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
