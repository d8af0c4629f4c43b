"""What moves on a page: the metrics of a training over time, the objective of a search's trials."""

import math
import re
from collections.abc import Sequence

import numpy as np

from artifact.pages.line_chart import LEFT, MARGIN, RIGHT, Chart, line_chart
from artifact.pages.plot import linear_axis
from artifact.text.numbers import HOUR_S, MINUTE_S
from local_sagemaker.record import Record

MOST_POINTS = 400  # of a line
MOST_CHARTS = 12
MOST_LINES = 5  # of a chart: as many as there are colours
TICKS = 6
# The photos that a metric was measured on, as SageMaker's own algorithms and ours write it.
SIDES = re.compile(r"(train|training|validation|valid|val|test)[:_](.+)")
PARTS = {"CPUUtilization": "Processor", "MemoryUtilization": "Memory", "GPUUtilization": "GPU"}
Groups = dict[str, dict[str, list[tuple[float, float]]]]  # by chart and line: times and values
# Units of the time axis, and from which length on.
UNITS = ((3 * HOUR_S, HOUR_S, "hours"), (3 * MINUTE_S, MINUTE_S, "minutes"))


def metric_charts(values: Sequence[Record]) -> list[Chart]:
    """A chart for each metric; train_loss and validation_loss share one. values: in their order."""
    groups: Groups = {}
    for value in values:
        line, title = _parts(value["MetricName"])
        _add(groups, title, line, value)
    return _charts(values, groups)


def usage_charts(values: Sequence[Record]) -> list[Chart]:
    """A chart of each part of the machine, with a line per host, in percent of a host."""
    groups: Groups = {}
    for value in values:
        if value["MetricName"] in PARTS:
            _add(groups, PARTS[value["MetricName"]], value["Host"], value)
    return _charts(values, groups, "% of the machine")


def _add(groups: Groups, title: str, line: str, value: Record) -> None:
    points = groups.setdefault(title, {}).setdefault(line, [])
    points.append((value["Timestamp"], value["Value"]))


def _charts(values: Sequence[Record], groups: Groups, unit_of_y: str = "") -> list[Chart]:
    """A chart of each group, all over the same time."""
    if not groups:
        return []
    first = min(value["Timestamp"] for value in values)
    length = max(value["Timestamp"] for value in values) - first
    unit_s, unit = _unit(length)
    axis = linear_axis(0.0, length / unit_s, LEFT + MARGIN, RIGHT - MARGIN, TICKS, exact=True)
    charts = []
    for title, lines in list(groups.items())[:MOST_CHARTS]:
        drawn = {}
        for name, points in list(lines.items())[:MOST_LINES]:
            array = np.array(_thinned(points), float)
            drawn[name] = ((array[:, 0] - first) / unit_s, array[:, 1])
        label = f"{unit} since the first value"
        charts.append(line_chart(title, label, axis, drawn, unit=unit_of_y, zero=bool(unit_of_y)))
    return charts


def search_chart(objective: str, maximize: bool, values: Sequence[float]) -> Chart:
    """The objective of each trial in the order of their start, NaN without one, and the best."""
    heights = np.array(values, float)
    filled = np.where(np.isfinite(heights), heights, -math.inf if maximize else math.inf)
    best = np.maximum.accumulate(filled) if maximize else np.minimum.accumulate(filled)
    best = np.where(np.isfinite(best), best, math.nan)
    numbers = np.arange(1, len(heights) + 1, dtype=float)
    axis = linear_axis(
        1, max(len(heights), 1), LEFT + MARGIN, RIGHT - MARGIN, TICKS, exact=True, whole=True
    )
    lines = {"trial": (numbers, heights), "best so far": (numbers, best)}
    label = "trials, in the order of their start"
    return line_chart(objective, label, axis.from_low(), lines, dotted="trial")


def _parts(metric: str) -> tuple[str, str]:
    """The line and the chart of a metric: validation and loss of validation_loss."""
    found = SIDES.fullmatch(metric)
    if found is None:
        return metric, metric
    return found[1], found[2]


def _unit(length_s: float) -> tuple[float, str]:
    for least_s, unit_s, unit in UNITS:
        if length_s >= least_s:
            return unit_s, unit
    return 1, "seconds"


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most MOST_POINTS of them; the last one stays."""
    every = math.ceil(len(points) / MOST_POINTS)
    return points[::-1][::every][::-1]
