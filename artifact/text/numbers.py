"""Numbers and lengths of time in words, as all pages, sentences, logs and terminals write them.

It knows nothing of their meaning. A percent has a space before its sign, as SI and ISO 80000 want
it.
"""

import math

GAP = "—"
MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400
# From this many of a unit on, people leave the smaller one out.
ROUNDED_FROM = 2


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


def duration(seconds: float) -> str:
    """Seconds in the two largest units: 2 min 05 s, 1 h 02 min, 3 d 4 h; 1.23 s, 4 ms below."""
    if seconds >= DAY_S:
        return f"{int(seconds // DAY_S)} d {int(seconds % DAY_S // HOUR_S)} h"
    if seconds >= HOUR_S:
        return f"{int(seconds // HOUR_S)} h {int(seconds % HOUR_S // MINUTE_S):02d} min"
    if seconds >= MINUTE_S:
        return f"{int(seconds // MINUTE_S)} min {int(seconds % MINUTE_S):02d} s"
    if seconds >= 1 or seconds <= 0:
        return f"{max(seconds, 0):.3g} s"
    if seconds >= 1e-3:
        return f"{1000 * seconds:.3g} ms"
    return f"{1e6 * seconds:.3g} µs"


def about(seconds: float) -> str:
    """Seconds roughly, as a time that is left or an age: 40 s, 12 min, 3 h 5 min."""
    if seconds < ROUNDED_FROM * MINUTE_S:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / MINUTE_S)
    if minutes < ROUNDED_FROM * 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
