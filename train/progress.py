"""Log lines now and then in long loops over photos."""

import logging
import time

PROGRESS_S = 10.0

log = logging.getLogger(__name__)


class Progress:
    """Counts photos. total: None where it is not known yet; every_s: seconds from line to line."""

    def __init__(self, what: str, total: int | None = None, every_s: float = PROGRESS_S) -> None:
        self.what = what
        self.every_s = every_s
        self.done = 0
        self._of = ""
        if total is not None:
            self._of = f" of {total}"
        self._started = time.monotonic()
        self._logged_at = self._started

    def add(self, count: int) -> None:
        """Count more photos, and log a line if the last one is old enough."""
        self.done += count
        now = time.monotonic()
        if now - self._logged_at <= self.every_s:
            return
        self._logged_at = now
        speed = self.done / (now - self._started)
        log.info("progress: %s, %d%s photos, %.1f photos/s", self.what, self.done, self._of, speed)
