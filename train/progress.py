"""Log lines now and then in whatever takes long."""

import logging
import time

PROGRESS_S = 10.0

log = logging.getLogger(__name__)


class Progress:
    """Counts photos done. total: how many there are, None where that is not known yet; every_s: seconds from line to line."""

    def __init__(self, what: str, total: int | None = None, every_s: float = PROGRESS_S):
        self.what, self.total, self.every_s, self.done = what, total, every_s, 0
        self.started = self.told = time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told > self.every_s:
            self.told = now
            of = "" if self.total is None else f" of {self.total}"
            log.info(
                "progress: %s, %d%s photos, %.1f photos/s",
                self.what,
                self.done,
                of,
                self.done / (now - self.started),
            )
