"""Whether a loss has fallen since the training began, seen through the noise of single batches.

It knows nothing of tensors and steps: it judges a row of losses.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

LEARNED = 0.35  # a loss of half of ln 2: below it even two classes are well told apart
FIRST = 3  # losses of the beginning
LOST = 0.5  # of what a loss had gained, which it must not lose again
GAINED = 0.2  # of the first loss; less than that is noise


@dataclass(frozen=True)
class Change:
    """How the smoothed loss has changed: percent of `before`, above 0 where it rose."""

    before: float
    now: float

    @property
    def percent(self) -> float:
        """The change; 0 of a loss of 0."""
        return 100 * (self.now - self.before) / abs(self.before) if self.before else 0.0


def stands_still(
    losses: Sequence[float], window: int, least_fall: float, most_rise: float
) -> Change | None:
    """The change of a loss that has not fallen, or has risen again; None of a sound one.

    losses: of one mode, as saved. window: how many of them are smoothed into one. least_fall: the
    percent of the first loss by which it must have fallen once there are two windows. most_rise:
    the percent of the first loss by which it may be above it.
    """
    if len(losses) < window:
        return None
    now = statistics.fmean(losses[-window:])
    if now < LEARNED:
        return None
    # The first loss alone would do but for its noise; a training that diverges has no other.
    first = min(losses[0], statistics.fmean(losses[:FIRST]))
    if now > first * (1 + most_rise / 100):
        return Change(first, now)
    if len(losses) < 2 * window:
        return None
    if now > first * (1 - least_fall / 100):
        return Change(first, now)
    best = min(_smoothed(losses, window))
    gained = first - best
    if gained > GAINED * first and now > best + LOST * gained:
        return Change(best, now)
    return None


def _smoothed(losses: Sequence[float], window: int) -> list[float]:
    """The mean of each row of `window` losses; those with NaN are left out."""
    means = []
    for end in range(window, len(losses) + 1):
        mean = statistics.fmean(losses[end - window : end])
        if math.isfinite(mean):
            means.append(mean)
    return means or [math.inf]
