"""Numbers as all pages, and the sentences on them, write them. It knows nothing of their meaning.

A percent has a space before its sign, as SI and ISO 80000 want it.
"""

import math

GAP = "—"


def finite(value: float | None) -> float:
    """The value; NaN, which a plot leaves out, for one that is missing or not finite."""
    if value is None or not math.isfinite(value):
        return math.nan
    return float(value)


def percent(share: float | None, digits: int = 1) -> str:
    """A share as `12.3 %`; a dash for one that is missing or not finite."""
    value = finite(share)
    if math.isnan(value):
        return GAP
    return f"{100 * value:.{digits}f} %"


def counted(size: int, one: str, several: str = "") -> str:
    """1 trial, 3 trials."""
    if size == 1:
        return f"1 {one}"
    return f"{size} {several or one + 's'}"


def percent_tick(share: float) -> str:
    """A share at an axis: `5 %`, with as many digits as it has."""
    return f"{100 * share:.6g} %"


def number(value: float | None) -> str:
    """A number with four digits; a dash as of `percent`."""
    value = finite(value)
    if math.isnan(value):
        return GAP
    return f"{value:.4g}"
