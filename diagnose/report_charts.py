"""Numbers as SVG: lines over time, a histogram, boxes.

Sizes are SVG units, colours are the page's own classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from artifact.pages.line_chart import BOTTOM, LEFT, RIGHT, TOP, chart_of, drawn_line
from artifact.pages.line_chart import Span as PlacedSpan
from artifact.pages.plot import Axis, linear_axis
from diagnose.profiler_data import Floats, Ints

MOST_POINTS = 300  # of a line: a plot has room for no more
FEWEST_PER_POINT = 3  # measurements: none is empty then where one came late
GAP = 10.0  # usual distances between two measurements after which the line breaks
BARS = 40
SLOWEST = 0.005  # the share of steps that get a bar of their own where they lie far out
SLOW_BAR = 34  # width of that bar with its margins
BOX_LEFT = 150  # room for names
BOX_ROW = 24
BOX_FIGURES = ("lower", "p25", "p50", "p75", "upper")
RATES = ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"))

Curves = dict[str, tuple[Floats, Floats]]  # by name: x and y, [N] each
Span = tuple[float, float, str]  # from and to along x, words
Plot = dict[str, Any]  # values of the template, a nest of lists and dicts


def over_time(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The same line with MOST_POINTS points at most; NaN where nothing was measured. [N] each.

    Points that lie together are replaced by their mean.
    """
    if len(times) < 2 or times[-1] <= times[0]:
        return times, values
    if len(times) > MOST_POINTS:
        return _thinned(times, values)
    distances = np.diff(times)
    breaks = np.flatnonzero(distances > GAP * np.median(distances)) + 1
    return np.insert(times, breaks, times[breaks - 1]), np.insert(values, breaks, np.nan)


def _thinned(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    points = min(MOST_POINTS, len(times) // FEWEST_PER_POINT)
    length = times[-1] - times[0]
    place = ((times - times[0]) / length * points).astype(int)
    place = np.minimum(place, points - 1)
    with np.errstate(invalid="ignore"):  # 0 / 0 where nothing was measured
        means = np.bincount(place, values, points) / np.bincount(place, minlength=points)
    return times[0] + (np.arange(points) + 0.5) * length / points, means


def chart(
    title: str,
    unit: str,
    x_label: str,
    lines: Curves,
    top: float | None = None,
    spans: Sequence[Span] = (),
) -> Plot:
    """A plot of lines. top: a value that the y axis must reach; spans: shaded parts of x."""
    highest = [y[np.isfinite(y)].max(initial=0.0) for _, y in lines.values()]
    high = max([*highest, top or 0.0])
    factor, unit = _scaled(high, unit)
    reaches_top = top is not None and high <= top
    y_axis = linear_axis(0.0, high / factor, BOTTOM, TOP, 4, exact=reaches_top)
    x_axis = _x_axis(lines)
    drawn = []
    for number, (name, (x, y)) in enumerate(lines.items()):
        places = x_axis.place(x)
        heights = y_axis.place(y / factor)
        drawn.append(drawn_line(number, name, places, heights))
    shaded: list[PlacedSpan] = []
    for begin, end, words in spans:
        shaded.append((x_axis.place(np.array([begin, end])).tolist(), words))
    return chart_of(title, x_label, x_axis, y_axis.marks(), drawn, unit, shaded)


def _x_axis(lines: Curves) -> Axis:
    xs = np.concatenate([np.zeros(0), *(x for x, _ in lines.values())])
    if not len(xs):
        return linear_axis(0.0, 1.0, LEFT, RIGHT, 6, exact=True)
    return linear_axis(xs.min(), xs.max(), LEFT, RIGHT, 6, exact=True)


def histogram(values: Floats) -> Plot:
    """How often steps took how long, in seconds [N].

    Where few steps lie far out, the slowest half percent have a bar of their own.
    """
    factor = 1.0
    unit = "s"
    if np.median(values) < 1:
        factor = 1e-3
        unit = "ms"
    limit = _usual_limit(values)
    usual = values[values <= limit]
    slow = values[values > limit]
    low = usual.min()
    high = max(usual.max(), low * 1.001 + 1e-9)  # equal steps need a width, too
    counts, edges = np.histogram(usual, BARS, (low, high))
    right = RIGHT - SLOW_BAR if len(slow) else RIGHT
    x_axis = linear_axis(low / factor, high / factor, LEFT, right, 6, exact=True)
    y_axis = linear_axis(0.0, max(counts.max(), len(slow)), BOTTOM, TOP, 4, whole=True)
    bars = _bars(counts, edges / factor, x_axis, y_axis, unit)
    longest = f"{values.max() / factor:.4g}"
    shown_limit = f"{limit / factor:.4g}"
    if len(slow):
        words = f"{len(slow)} steps of {shown_limit} to {longest} {unit}"
        bars.append(_slow_bar(len(slow), y_axis, words))
    return {
        "unit": unit,
        "bars": bars,
        "x_ticks": x_axis.marks(),
        "y_ticks": y_axis.marks(),
        "slow": len(slow),
        "slowest": longest,
        "limit": shown_limit,
    }


def _bars(counts: Ints, edges: Floats, x_axis: Axis, y_axis: Axis, unit: str) -> list[Plot]:
    """The bars that are not empty. edges: [bars + 1], in the unit."""
    places = x_axis.place(edges)
    bars = []
    for index, count in enumerate(counts):
        if count:
            width = round(places[index + 1] - places[index] - 1, 1)  # a gap of 1
            begin = f"{edges[index]:.4g}"
            end = f"{edges[index + 1]:.4g}"
            bars.append(
                {
                    "x": places[index],
                    "width": max(0.5, width),
                    "y": y_axis.place(count),
                    "count": int(count),
                    "colour": "blue",
                    "words": f"{count} steps of {begin} to {end} {unit}",
                }
            )
    return bars


def _slow_bar(count: int, y_axis: Axis, words: str) -> Plot:
    """The bar of the steps beyond the axis, at its right."""
    return {
        "x": RIGHT - 20,
        "width": 18,
        "y": y_axis.place(count),
        "count": count,
        "colour": "orange",
        "words": words,
    }


def _usual_limit(values: Floats) -> float:
    """The value above which steps lie far out: beyond twice the width of all others."""
    limit = float(np.quantile(values, 1 - SLOWEST))
    if values.max() - values.min() > 2 * (limit - values.min()):
        return limit
    return float(values.max())


def boxes(rows: dict[str, dict[str, float]]) -> Plot:
    """Box plots of percentages, one per row, by name: whiskers, quartiles and median.

    The figures are those of diagnose.profiler_result.box.
    """
    axis = linear_axis(0.0, 100.0, BOX_LEFT, RIGHT - 14, 5, exact=True)
    drawn = []
    for number, (name, figures) in enumerate(rows.items()):
        shown = {key: figures[key] for key in BOX_FIGURES}
        places = {key: float(axis.place(value)) for key, value in shown.items()}
        words = ", ".join(f"{key} {value:.0f} %" for key, value in shown.items())
        drawn.append({"name": name, "y": 8 + BOX_ROW * number, **places, "words": words})
    return {"height": 30 + BOX_ROW * len(rows), "ticks": axis.marks(), "rows": drawn}


def _scaled(high: float, unit: str) -> tuple[float, str]:
    """Factor and name of the unit: bytes per second in the prefix that suits their size."""
    if unit == "B/s":
        for factor, name in RATES:
            if high >= factor:
                return factor, name
    return 1.0, unit
