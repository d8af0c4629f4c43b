"""Lengths of time in words, for pages, logs and terminals."""

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400
# From this many of a unit on, people leave the smaller one out.
ROUNDED_FROM = 2


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
