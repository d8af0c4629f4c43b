"""How far off a measured share may be by luck in the choice of the photos."""

import math

Z_95 = 1.96  # standard deviations of a 95 % interval


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % score interval of a share of `count` photos (Wilson 1927).

    It is how far off the share may be by luck in the choice of the photos.
    """
    spread = Z_95 * Z_95 / count
    centre = share + spread / 2
    half = Z_95 * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    low = (centre - half) / (1 + spread)
    high = (centre + half) / (1 + spread)
    return max(0.0, low), min(1.0, high)
