"""Numbers as SVG, for the pages on trainings, profiles and searches: axes and lines.

Positions are in SVG units, rounded to 0.1. It knows nothing of the numbers' meaning.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[Any]  # of any number type

# Each scale's function from values to positions before stretching.
BENDS: dict[str, Callable[[Values], Values]] = {
    "Linear": lambda values: values,
    "Logarithmic": lambda values: np.asarray(np.log10(values)),
    "ReverseLogarithmic": lambda values: np.asarray(-np.log10(1 - values)),
}
FLATTENED = 50  # times the median: such an outlier would flatten the others on a linear axis
MOST_DECADES = 6  # ticks on a logarithmic axis, about


def tick_words(tick: float) -> str:
    """A tick's number, as most axes have it."""
    return f"{tick:.6g}"


class Axis:
    """The positions of values between two ends of a plot. A single value lies in the middle.

    ticks: the values to mark. scale: one of BENDS.
    """

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        ticks: Sequence[float],
        scale: str = "Linear",
    ):
        self.low = float(low)
        self.high = float(high)
        self.scale = scale
        self._start = start
        self._end = end
        self._bend = BENDS[scale]
        self.ticks = [self.low]
        if self.high > self.low:
            margin = 1e-9 * (self.high - self.low)  # of rounding
            first = self.low - margin
            last = self.high + margin
            self.ticks = [tick for tick in ticks if first <= tick <= last]

    def place(self, values: ArrayLike) -> Values:
        """Positions of the values, in the same shape; NaN stays NaN."""
        found = np.asarray(values, float)
        low = self._bend(np.asarray(self.low))
        high = self._bend(np.asarray(self.high))
        if high > low:
            share = (self._bend(found) - low) / (high - low)
        else:
            share = np.where(np.isfinite(found), 0.5, found)
        return np.asarray(np.round(self._start + share * (self._end - self._start), 1))

    def from_low(self) -> "Axis":
        """The axis with its low end as the first tick: for counts, which begin at 1.

        Ticks that lie too near to the low end are dropped.
        """
        gap = 0.0
        if len(self.ticks) > 1:
            gap = self.ticks[1] - self.ticks[0]
        others = [tick for tick in self.ticks if tick > self.low and tick >= self.low + gap / 2]
        self.ticks = [self.low, *others]
        return self

    def marks(self, words: Callable[[float], str] = tick_words) -> list[tuple[float, str]]:
        """Position and words of each tick."""
        return [(float(self.place(tick)), words(tick)) for tick in self.ticks]


def linear_axis(
    low: float,
    high: float,
    start: float,
    end: float,
    count: int = 5,
    exact: bool = False,
    whole: bool = False,
) -> Axis:
    """An axis with about `count` steps.

    exact: it ends at the values, else at the round numbers around them. whole: its ticks are whole
    numbers.
    """
    marked = ticks(low, high, count, whole)
    if exact:
        return Axis(low, high, start, end, marked)
    return Axis(marked[0], marked[-1], start, end, marked)


def value_axis(values: Values, start: float, end: float, count: int = 5, zero: bool = True) -> Axis:
    """Round numbers around all finite values, and 0 if `zero`.

    By decades where one outlier would flatten the others.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return linear_axis(0.0, 0.0, start, end, count)
    low = values.min()
    high = values.max()
    if low > 0 and high > FLATTENED * np.median(values):
        first = math.floor(math.log10(low))
        last = math.ceil(math.log10(high))
        every = math.ceil((last - first) / MOST_DECADES)
        decades = [10.0**power for power in range(first, last + 1, every)]
        return Axis(10.0**first, max(decades[-1], high), start, end, decades, "Logarithmic")
    if zero:
        low = min(low, 0.0)
        high = max(high, 0.0)
    return linear_axis(low, high, start, end, count)


def search_axis(low: float, high: float, start: float, end: float, scale: str) -> Axis:
    """An axis over a range that was searched, from end to end, with ticks that suit its scale."""
    if scale == "Logarithmic":
        return Axis(low, high, start, end, logarithmic_ticks(low, high), scale)
    if scale == "ReverseLogarithmic":
        mirrored = logarithmic_ticks(1 - high, 1 - low)
        marked = [float(f"{1 - tick:.9g}") for tick in mirrored]
        return Axis(low, high, start, end, marked, scale)
    return linear_axis(low, high, start, end, exact=True)


def ticks(low: float, high: float, count: int, whole: bool = False) -> list[float]:
    """Round numbers, two or more, that enclose both ends."""
    rough = (high - low) / count or 1 / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    candidates = [magnitude * factor for factor in (1, 2, 5, 10)]
    step = next(step for step in candidates if step >= rough * 0.999)
    if whole:
        step = max(1, round(step))
    first = math.floor(low / step + 1e-6)
    last = max(math.ceil(high / step - 1e-6), first + 1)
    # :.12g takes away the rounding errors of the product
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Decades over a wide range, 1, 2 and 5 of each over a smaller one, else round numbers.

    low is above 0.
    """
    decades = math.log10(high / low)
    if decades < 1:
        return ticks(low, high, 4)
    factors: tuple[int, ...] = (1, 2, 5)
    if decades > 3:
        factors = (1,)
    first = math.floor(math.log10(low))
    last = math.ceil(math.log10(high))
    marked = []
    for power in range(first, last + 1, math.ceil(decades / MOST_DECADES)):
        marked += [float(f"{factor * 10.0**power:.9g}") for factor in factors]
    return marked


def line_path(x: ArrayLike, y: ArrayLike) -> str:
    """An SVG path through the points, broken where y is not finite."""
    words = []
    pen = "M"  # move to the point; "L" draws a line to it
    for across, down in zip(np.asarray(x).tolist(), np.asarray(y).tolist(), strict=True):
        if math.isfinite(down):
            words.append(f"{pen}{across:g} {down:g}")
            pen = "L"
        else:
            pen = "M"
    return "".join(words)


def dots(x: Values, y: Values, most: int) -> list[tuple[float, float]]:
    """The points that no stroke would show; all points of a line of `most` points or fewer."""
    known = np.isfinite(y)
    shown = known
    if len(x) > most:
        before = np.concatenate([[False], known[:-1]])
        after = np.concatenate([known[1:], [False]])
        shown = known & ~before & ~after
    return [(float(x[i]), float(y[i])) for i in np.flatnonzero(shown)]
