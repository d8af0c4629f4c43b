"""Numbers and settings as the training report writes them."""

import math

GAP = "—"


def finite(value: float | None) -> float:
    """The value; NaN, which a plot leaves out, for one that is missing or not finite."""
    if value is None or not math.isfinite(value):
        return math.nan
    return float(value)


def percent(share: float | None) -> str:
    """A share as `12.3 %`."""
    value = finite(share)
    if math.isnan(value):
        return GAP
    return f"{100 * value:.1f} %"


def number(value: float | None) -> str:
    """A number with four digits."""
    value = finite(value)
    if math.isnan(value):
        return GAP
    return f"{value:.4g}"


def setting(value: object) -> str:
    """A hyperparameter's value as a user writes it."""
    if value is None or value == "" or value == ():
        return GAP
    if isinstance(value, (tuple, list)):
        return ",".join(setting(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
