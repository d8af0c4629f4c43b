"""The request to stop that the clock makes, where the job has `time_limit_s`.

Learning ends first, so that the artifact can be exported and measured within the limit. What is
optional is left out once the limit has passed.
"""

import time

from train.stop import Stop

LEARNING_SHARE = 0.75  # of the limit


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
