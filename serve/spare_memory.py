"""What the C library keeps of freed memory goes back to the system, some seconds after work.

Photos of many callers leave it tens of megabytes, which it would hold for good: their blocks are
too small to be returned one by one.
"""

import threading

from artifact.host.machine import trim_memory

AFTER_S = 5.0  # a trim takes 4 ms, so the processor does not notice it, even under steady load


class SpareMemory:
    """A process's freed memory. after_s: from the first work since the last time until it goes."""

    def __init__(self, after_s: float = AFTER_S):
        self._after_s = after_s
        self._due = threading.Lock()  # held while a timer runs

    def freed(self) -> None:
        """Work has ended, in any thread."""
        if not self._due.acquire(blocking=False):
            return
        timer = threading.Timer(self._after_s, self._give_back)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # the system gives no more threads
            self._due.release()

    def _give_back(self) -> None:
        self._due.release()  # first: what is freed from now on may come too late for this time
        trim_memory()
