"""The report's plots on probabilities, in SVG units: reliability, and coverage against accuracy.

They read what calibration.json and coverage.json hold of one channel.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from artifact.intervals import wilson_interval
from artifact.page_text import number, percent, percent_tick
from artifact.plot import Axis, line_path
from train.result.history_charts import PLOT

SMALLEST = 2.5  # radius of a dot of one photo, SVG units
STEPS = {0.5: 0.2, 0.7: 0.1, 0.9: 0.05, 1.0: 0.02}  # of an axis that begins below a share
FEW = 0.1  # of the photos, whose accuracy does not decide where the axis begins
LARGEST = 9.0  # of the most frequent bin
WANTED = (0.9, 0.95, 0.98, 0.99)  # accuracies that people ask for

Json = Mapping[str, Any]


def reliability_chart(found: Json) -> dict[str, Any] | None:
    """A dot for each bin of answers, with the 95 % interval of its accuracy; None without any.

    found: `channels` of calibration.json, of one channel.
    """
    bins = [row for row in found.get("bins", ()) if row["count"]]
    if not bins:
        return None
    x = _share_axis(0.0, PLOT["left"], PLOT["right"])
    y = _share_axis(0.0, PLOT["bottom"], PLOT["top"])
    most = max(row["count"] for row in bins)
    points = []
    for row in bins:
        size = math.sqrt(row["count"] / most)
        low, high = wilson_interval(row["accuracy"], row["count"])
        points.append(
            {
                "x": float(x.place(row["confidence"])),
                "y": float(y.place(row["accuracy"])),
                "low": float(y.place(low)),
                "high": float(y.place(high)),
                "ideal": float(y.place(row["confidence"])),
                "radius": round(SMALLEST + (LARGEST - SMALLEST) * size, 1),
                **row,
            }
        )
    return {
        "x_ticks": x.marks(percent_tick),
        "y_ticks": y.marks(percent_tick),
        "points": points,
        "ideal": line_path(x.place([0.0, 1.0]), y.place([0.0, 1.0])),
        "error": found["expected_calibration_error"],
    }


def coverage_chart(found: Json) -> dict[str, Any] | None:
    """The accuracy of the surest answers over their share; None without any.

    found: `channels` of coverage.json, of one channel.
    """
    points: Sequence[Json] = found.get("points", ())
    if not points:
        return None
    shares = [point["coverage"] for point in points]
    accuracies = np.array([point["accuracy"] for point in points])
    # of a few photos it may be anything
    low = min(point["accuracy"] for point in points if point["coverage"] >= FEW)
    accuracies[accuracies < low] = math.nan
    x = _share_axis(0.0, PLOT["left"], PLOT["right"])
    y = _share_axis(low, PLOT["bottom"], PLOT["top"])
    width = (PLOT["right"] - PLOT["left"]) / len(points)
    bands = []
    for point in points:
        words = (
            f"{percent(point['coverage'])} of the photos, those from a probability of "
            f"{number(point['probability'])} on: {percent(point['accuracy'])} right"
        )
        bands.append((float(x.place(point["coverage"])) - width, words))
    sure = found.get("sure")
    mark = None
    if sure and sure["accuracy"] is not None:
        mark = (float(x.place(sure["coverage"])), float(y.place(sure["accuracy"])))
    return {
        "x_ticks": x.marks(percent_tick),
        "y_ticks": y.marks(percent_tick),
        "path": line_path(x.place(shares), y.place(accuracies)),
        "bands": bands,
        "band": width,
        "sure": sure,
        "mark": mark,
        "wanted": [_threshold(points, accuracy) for accuracy in WANTED],
    }


def _threshold(points: Sequence[Json], accuracy: float) -> dict[str, object]:
    """The lowest probability from which on the answers are right that often; None where none is."""
    fitting = [point for point in points if point["accuracy"] >= accuracy]
    last = fitting[-1] if fitting else {"probability": None, "coverage": None}
    return {
        "accuracy": accuracy,
        "probability": last["probability"],
        "coverage": last["coverage"],
    }


def _share_axis(low: float, start: float, end: float) -> Axis:
    """From a round share at or below `low` to 1."""
    first = min(math.floor(10 * low) / 10, 0.9)
    step = next(step for below, step in STEPS.items() if first < below)
    ticks = np.arange(1.0, first - 1e-9, -step)[::-1].round(9)
    return Axis(first, 1.0, start, end, [abs(tick) for tick in ticks.tolist()])
