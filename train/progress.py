"""A log line now and then in a long pass."""

import logging
import time

PROGRESS_S = 20.0

log = logging.getLogger(__name__)


class Progress:
    """Tells how far a pass over `total` photos is, at most every PROGRESS_S seconds."""

    def __init__(self, what: str, total: int):
        self.what, self.total, self.done = what, total, 0
        self.started = self.told = time.monotonic()

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told > PROGRESS_S:
            self.told = now
            log.info("progress: %s, %d of %d photos, %.1f photos/s", self.what, self.done, self.total, self.done / (now - self.started))
