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


def amount(value: float) -> str:
    """A number of any size; a dash where it is none."""
    if not math.isfinite(value):
        return "—"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"
