"""The training report's plots: error and loss over the epochs, in SVG units."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from artifact.page_text import finite, number, percent, percent_tick
from artifact.plot import Axis, dots, line_path, linear_axis, value_axis

# SVG units
PLOT = {"width": 460, "height": 262, "left": 58, "right": 448, "top": 26, "bottom": 226}
PLOT_MARGIN = 8  # SVG units between the plot's sides and the first and last epoch
MOST_DOTS = 40  # values of a line that all get a dot
MOST_BANDS = 500  # columns of a plot that show a tooltip; a plot has no room for more
LINES = {"Training": "train", "Validation": "validation"}  # name in the plot; history's prefix

Floats = NDArray[np.float64]


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
