"""Numbers as the profiler's page writes them."""

import math
import time


def count(number: int, name: str) -> str:
    """A number of things, such as `2 GPUs`."""
    if number == 0:
        return f"no {name}"
    if number == 1:
        return f"1 {name}"
    return f"{number} {name}s"


def date(seconds: float) -> str:
    """A time in seconds since the epoch."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def duration(seconds: float) -> str:
    """A duration in the unit that suits it."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 120:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{1000 * seconds:.3g} ms"
    return f"{1e6 * seconds:.3g} µs"


def amount(value: float) -> str:
    """A number of any size; a dash where it is none."""
    if not math.isfinite(value):
        return "—"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
