"""How quickly the requests under way are answered, and so how long the next one would wait."""

import time

WEIGHT = 0.05  # of the newest answer in the running average
EVIDENCE = 20  # answers


class Pace:
    """Counts requests from their start to their end. Used by one thread, the event loop's."""

    def __init__(self) -> None:
        self.under_way = 0
        self._answers = 0  # up to EVIDENCE
        self._between_s = 0.0  # two answers, running average
        self._last = 0.0  # answer, or the start of the first request since all were answered

    def begin(self) -> None:
        """A request is worked on, or waits for that."""
        if not self.under_way:
            self._last = time.monotonic()
        self.under_way += 1

    def end(self) -> None:
        """A request is answered."""
        self.under_way -= 1
        now = time.monotonic()
        between_s = now - self._last
        self._last = now
        self._answers = min(self._answers + 1, EVIDENCE)
        weight = max(WEIGHT, 1 / self._answers)
        self._between_s += weight * (between_s - self._between_s)

    def wait_s(self) -> float:
        """Seconds until one more request would have its answer, after those under way.

        0 until EVIDENCE answers have been given: the first ones of a burst come late.
        """
        if self._answers < EVIDENCE:
            return 0.0
        return (self.under_way + 1) * self._between_s
