"""What a rule watched, step by step: the line that the page of findings draws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_POINTS = 200  # of a curve: a plot has room for no more

Points = list[tuple[float, float | None]]  # step and value; None for NaN and infinities


@dataclass(frozen=True)
class Line:
    """Curves by name over steps, or bars by name; the step and the value where the rule fired.

    watched: what the values are, in words. mark: a step, None where there is none. threshold: of
    the rule, in the same unit; None where it is of another.
    """

    watched: str
    x_label: str = ""
    curves: dict[str, Points] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)
    mark: float | None = None
    threshold: float | None = None


def points(steps: Sequence[tuple[float, float]], keep: float | None) -> Points:
    """At most MOST_POINTS of the points, evenly; the one at step `keep` is always among them."""
    every = math.ceil(len(steps) / MOST_POINTS) or 1
    last = len(steps) - 1
    found: Points = []
    for number, (step, value) in enumerate(steps):
        if number % every == 0 or number == last or step == keep:
            found.append((step, value if math.isfinite(value) else None))
    return found


def read_line(fields: Any) -> Line | None:
    """A line from JSON. ValueError, TypeError or KeyError where it is none."""
    if fields is None:
        return None
    curves = {}
    for name, row in fields["curves"].items():
        curves[str(name)] = [(float(step), _number(value)) for step, value in row]
    bars = {str(name): float(value) for name, value in fields["bars"].items()}
    return Line(
        watched=str(fields["watched"]),
        x_label=str(fields["x_label"]),
        curves=curves,
        bars=bars,
        mark=_number(fields["mark"]),
        threshold=_number(fields["threshold"]),
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
