"""A chart of lines over one axis, as `line_chart.html.j2` beside this module draws it."""

from typing import Any

import numpy as np

from artifact.plot import Axis, Values, dots, line_path, value_axis

# of the plot's area within its figure, in SVG units
WIDTH = 460
HEIGHT = 222
LEFT = 58
RIGHT = 448
TOP = 12
BOTTOM = 184
MARGIN = 8  # between the plot's sides and the first and last value
MOST_DOTS = 40
COLOURS = ("blue", "orange", "green", "violet", "grey")

Chart = dict[str, Any]  # values of the template, a nest of lists and dicts


def line_chart(
    title: str,
    x_label: str,
    x_axis: Axis,
    lines: dict[str, tuple[Values, Values]],
    dotted: str = "",
) -> Chart:
    """The values of the macro. lines: x and y by name, [N] each, NaN where nothing was measured.

    x_axis: from LEFT to RIGHT. dotted: the line of which only the dots are drawn.
    """
    every = np.concatenate([np.full(1, np.nan), *(y for _, y in lines.values())])
    y_axis = value_axis(every, BOTTOM, TOP, 4, zero=False)
    drawn = []
    for number, (name, (x, y)) in enumerate(lines.items()):
        line = _drawn(x_axis.place(x), y_axis.place(y), name, dotted)
        line["colour"] = COLOURS[number % len(COLOURS)]
        line["last"] = _last(y)
        drawn.append(line)
    return {
        "title": title,
        "x_label": x_label,
        "x_ticks": x_axis.marks(),
        "y_ticks": y_axis.marks(),
        "lines": drawn,
    }


def _drawn(places: Values, heights: Values, name: str, dotted: str) -> Chart:
    """A line's path and dots."""
    path = line_path(places, heights)
    most = MOST_DOTS
    if name == dotted:
        path = ""
        most = len(places)
    elif dotted:
        most = 0  # they would lie on those of the other line
    return {
        "name": name,
        "path": path,
        "dotted": name == dotted,
        "dots": dots(places, heights, most),
    }


def _last(values: Values) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    return f"{known[-1]:.4g}"
