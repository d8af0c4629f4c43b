"""A search as parallel coordinates: one line per trial over one axis per hyperparameter."""

import itertools
import math
from typing import Any

import numpy as np

from artifact.pages.plot import Values, line_path, search_axis, value_axis
from tune.plots import Plot, faint, words_of
from tune.ranking import Ranking, number, short
from tune.scales import Scale, scale_of

# In SVG units
WIDTH = 1040
HEIGHT = 352
TOP = 48
BOTTOM = 326
SIDE = 84
AXIS_GAP = 118
FEW_AXES = 3  # so few get a wider gap, and a narrower picture
FEW_AXES_GAP = 260
CATEGORIES_ROOM = 14  # above and below the categories of an axis
LETTER = 7.2  # the width of one
LONGEST_NAME = 22  # letters of an axis's name; the rest is cut
MOST_LABELS = 14  # of a categorical axis
SCALE_WORDS = {"Logarithmic": "logarithmic", "ReverseLogarithmic": "reverse logarithmic"}


def parallel(ranking: Ranking) -> Plot | None:
    """An upright axis for each searched hyperparameter and for the objective, the best on top.

    None without trials to draw.
    """
    if not ranking.ranked or not ranking.columns:
        return None
    count = len(ranking.columns) + 1
    width = 2 * SIDE + FEW_AXES_GAP * (count - 1)
    if count > FEW_AXES:
        width = max(WIDTH, 2 * SIDE + AXIS_GAP * (count - 1))
    across = np.linspace(SIDE, width - SIDE, count)
    drawn = [_upright(ranking, name) for name in ranking.columns]
    drawn.append(_values(ranking))
    axes = [axis for axis, _ in drawn]
    heights = [height for _, height in drawn]
    gap = float(across[1] - across[0])
    crowded = _crowded([axis["name"] for axis in axes], gap)
    for place, axis in enumerate(axes):
        axis["x"] = float(across[place])
        axis["row"] = place % 2 * crowded  # every other name stands higher
        axis["last"] = place == count - 1
    return {
        "width": width,
        "height": HEIGHT,
        "lines": _lines(ranking, across, heights),
        "opacity": faint(len(ranking.ranked)),
        "longest": LONGEST_NAME,
        "axes": axes,
    }


def _crowded(names: list[str], gap: float) -> bool:
    """Whether two neighbours' names would touch in one row."""
    widths = [min(len(name), LONGEST_NAME) * LETTER for name in names]
    return any((left + right) / 2 > gap for left, right in itertools.pairwise(widths))


def _lines(ranking: Ranking, across: Values, heights: list[Values]) -> list[Plot]:
    """A line for each trial. share: of the best objective 1, of the worst 0, by place."""
    order = list(dict.fromkeys(entry.score for entry in ranking.ranked))
    steps = max(1, len(order) - 1)
    lines: list[dict[str, Any]] = []
    for place, entry in enumerate(ranking.ranked):
        line = {
            "path": line_path(across, [height[place] for height in heights]),
            "share": 1 - order.index(entry.score) / steps,
            "best": entry is ranking.best,
            "words": words_of(entry, ranking),
        }
        lines.append(line)
    lines.sort(key=lambda line: (line["best"], line["share"]))
    return lines


def _values(ranking: Ranking) -> tuple[Plot, Values]:
    """The axis of the objective, and the height of each ranked trial on it."""
    values = np.array([entry.score for entry in ranking.ranked])
    axis = value_axis(values, BOTTOM, TOP, zero=False)
    upright = {
        "name": ranking.last.objective,
        "scale": SCALE_WORDS.get(axis.scale, ""),
        "ticks": axis.marks(),
    }
    return upright, axis.place(values)


def _upright(ranking: Ranking, name: str) -> tuple[Plot, Values]:
    """The axis of a hyperparameter, and the height of each ranked trial on it.

    NaN where its value is not known.
    """
    scale = scale_of(ranking, name)
    texts = [entry.setting(name) for entry in ranking.ranked]
    if scale.categories:
        return _categories(name, scale, texts)
    axis = search_axis(scale.low, scale.high, BOTTOM, TOP, scale.name)
    values = np.full(len(texts), math.nan)
    for place, text in enumerate(texts):
        value = number(text)
        if value is not None:
            values[place] = value
    words = SCALE_WORDS.get(scale.name, "")
    return {"name": name, "scale": words, "ticks": axis.marks()}, axis.place(values)


def _categories(name: str, scale: Scale, texts: list[str]) -> tuple[Plot, Values]:
    count = len(scale.categories)
    lowest = BOTTOM - CATEGORIES_ROOM
    highest = TOP + CATEGORIES_ROOM
    axis = search_axis(0, count - 1, lowest, highest, "Linear")
    steps = axis.place(np.arange(count)).tolist()
    height = dict(zip(scale.categories, steps, strict=True))
    every = math.ceil(count / MOST_LABELS)
    labelled = scale.categories[::every]
    marks = [(height[category], short(category)) for category in labelled]
    heights = np.array([height.get(text, math.nan) for text in texts])
    return {"name": name, "scale": "categories", "ticks": marks}, heights
