"""The training report's plots, in SVG units.

Error and loss over the epochs; and of one channel, from calibration.json and coverage.json:
reliability, and coverage against accuracy.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.pages.plot import Axis, dots, line_path, linear_axis, value_axis
from artifact.text.intervals import wilson_interval
from artifact.text.numbers import finite, number, percent, percent_tick

# SVG units
PLOT = {"width": 460, "height": 262, "left": 58, "right": 448, "top": 26, "bottom": 226}
PLOT_MARGIN = 8  # SVG units between the plot's sides and the first and last epoch
MOST_DOTS = 40  # values of a line that all get a dot
MOST_BANDS = 500  # columns of a plot that show a tooltip; a plot has no room for more
LINES = {"Training": "train", "Validation": "validation"}  # name in the plot; history's prefix

Floats = NDArray[np.float64]
SMALLEST = 2.5  # radius of a dot of one photo, SVG units
STEPS = {0.5: 0.2, 0.7: 0.1, 0.9: 0.05, 1.0: 0.02}  # of an axis that begins below a share
FEW = 0.1  # of the photos, whose accuracy does not decide where the axis begins
LARGEST = 9.0  # of the most frequent bin
WANTED = (0.9, 0.95, 0.98, 0.99)  # accuracies that people ask for

Json = Mapping[str, Any]


def charts(
    history: Sequence[Mapping[str, float | None]], best_epoch: int
) -> list[dict[str, object]]:
    """The values of the template for each plot; none for an empty history."""
    if not history:
        return []
    epochs = np.array([row["epoch"] for row in history], np.int64)
    loss = {}
    error = {}
    for line, prefix in LINES.items():
        loss[line] = np.array([finite(row.get(f"{prefix}_loss")) for row in history])
        accuracy = np.array([finite(row.get(f"{prefix}_accuracy")) for row in history])
        error[line] = 1 - accuracy
    return [
        _chart("Error", epochs, error, best_epoch, percent, percent_tick),
        _chart("Loss", epochs, loss, best_epoch, number, _tick),
    ]


def _chart(
    name: str,
    epochs: NDArray[np.int64],
    series: dict[str, Floats],
    best_epoch: int,
    text: Callable[[float], str],
    tick_text: Callable[[float], str],
) -> dict[str, object]:
    """One plot's axes, lines and tooltips. text, tick_text: a value in words, and at the axis."""
    series = {line: values for line, values in series.items() if np.isfinite(values).any()}
    x = _epoch_axis(epochs)
    everything = np.concatenate([*series.values(), [np.nan]])  # not empty without any series
    y = value_axis(everything, PLOT["bottom"], PLOT["top"])
    words = _words(series, len(epochs), text)
    places = x.place(epochs)
    found = np.flatnonzero(epochs == best_epoch).tolist()
    best = None
    best_words = None
    if found:
        best = found[0]
        best_words = (places[best], words[best])
    every = math.ceil(len(epochs) / MOST_BANDS)
    bands = []
    for index in range(0, len(epochs), every):
        bands.append((places[index], f"epoch {epochs[index]}: {words[index]}"))
    lines = [_line(line, places, y.place(values), best) for line, values in series.items()]
    return {
        "name": name,
        "logarithmic": y.scale == "Logarithmic",
        "x_ticks": x.marks(lambda tick: f"{tick:.0f}"),
        "y_ticks": y.marks(tick_text),
        "lines": lines,
        "best": best_words,
        "bands": bands,
        "band": every * (PLOT["right"] - PLOT["left"]) / len(epochs),
    }


def _words(series: dict[str, Floats], count: int, text: Callable[[float], str]) -> list[str]:
    """`training 1.2 %, validation 3.4 %` for each epoch."""
    words = []
    for index in range(count):
        parts = [f"{line.lower()} {text(values[index])}" for line, values in series.items()]
        words.append(", ".join(parts))
    return words


def _line(name: str, x: Floats, y: Floats, best: int | None) -> dict[str, object]:
    """A path, and dots: all values of a short line, else those that no stroke would show."""
    ring = None
    if best is not None and np.isfinite(y[best]):
        ring = (x[best], y[best])
    return {"name": name, "path": line_path(x, y), "dots": dots(x, y, MOST_DOTS), "best": ring}


def _epoch_axis(epochs: NDArray[np.int64]) -> Axis:
    low = int(epochs.min())
    high = int(epochs.max())
    start = PLOT["left"] + PLOT_MARGIN
    end = PLOT["right"] - PLOT_MARGIN
    return linear_axis(low, high, start, end, 6, exact=True, whole=True).from_low()


def _tick(value: float) -> str:
    return f"{value:.6g}"


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
