"""A chart of lines over one axis, as `line_chart.html.j2` beside this module draws it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from artifact.pages.plot import Axis, Values, dots, line_path, tick_words, value_axis

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
Span = tuple[list[float], str]  # from and to along x, in SVG units, and words


def line_chart(
    title: str,
    x_label: str,
    x_axis: Axis,
    lines: dict[str, tuple[Values, Values]],
    dotted: str = "",
    words: Callable[[float], str] = tick_words,
    unit: str = "",
    zero: bool = False,
) -> Chart:
    """The values of the macro. lines: x and y by name, [N] each, NaN where nothing was measured.

    x_axis: from LEFT to RIGHT. dotted: the line of which only the dots are drawn. words: of a tick
    of the y axis. unit: of y. zero: whether the y axis has it.
    """
    every = np.concatenate([np.full(1, np.nan), *(y for _, y in lines.values())])
    y_axis = value_axis(every, BOTTOM, TOP, 4, zero)
    drawn = []
    for number, (name, (x, y)) in enumerate(lines.items()):
        line = drawn_line(number, name, x_axis.place(x), y_axis.place(y), dotted)
        line["last"] = _last(y, words)
        drawn.append(line)
    return chart_of(title, x_label, x_axis, y_axis.marks(words), drawn, unit)


def chart_of(
    title: str,
    x_label: str,
    x_axis: Axis,
    y_ticks: Sequence[tuple[float, str]],
    lines: Sequence[Chart],
    unit: str = "",
    spans: Sequence[Span] = (),
) -> Chart:
    """The values of the macro. lines: of drawn_line. unit: of y. spans: shaded parts of x."""
    return {
        "title": title,
        "unit": unit,
        "x_label": x_label,
        "x_ticks": x_axis.marks(),
        "y_ticks": y_ticks,
        "lines": lines,
        "spans": spans,
    }


def drawn_line(
    number: int, name: str, places: Values, heights: Values, dotted: str = "", most: int = MOST_DOTS
) -> Chart:
    """A line's path, dots and colour. places and heights: [N], in SVG units. most: dots at most."""
    path = line_path(places, heights)
    if name == dotted:
        path = ""
        most = len(places)
    elif dotted:
        most = 0  # they would lie on those of the other line
    return {
        "name": name,
        "colour": COLOURS[number % len(COLOURS)],
        "path": path,
        "dotted": name == dotted,
        "dots": dots(places, heights, most),
        "last": "",
    }


def _last(values: Values, words: Callable[[float], str]) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return ""
    return words(float(f"{known[-1]:.4g}"))
