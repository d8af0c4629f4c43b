"""Numbers as SVG, for the pages on trainings, profiles and searches: axes with round ticks, and lines that break where nothing was measured.

Places are SVG units, rounded to 0.1. It knows nothing of what the numbers mean.
"""

import math

import numpy as np

BENDS = {
    "Linear": np.asarray,
    "Logarithmic": np.log10,
    "ReverseLogarithmic": lambda values: -np.log10(1 - np.asarray(values)),
}
FLATTENED = 50  # times the median: one value so far out would flatten all others on a linear axis


class Axis:
    """Where values lie between two ends of a plot. ticks: the values to mark; scale: one of BENDS. A single value lies in the middle."""

    def __init__(
        self,
        low: float,
        high: float,
        start: float,
        end: float,
        ticks: list[float],
        scale: str = "Linear",
    ):
        self.low, self.high, self.scale = float(low), float(high), scale
        self._start, self._end, self._bend = start, end, BENDS[scale]
        margin = 1e-9 * (self.high - self.low)
        self.ticks = (
            [tick for tick in ticks if self.low - margin <= tick <= self.high + margin]
            if self.high > self.low
            else [self.low]
        )

    def place(self, values) -> np.ndarray:
        """Places of the values, the same shape; NaN stays NaN."""
        low, high = self._bend(self.low), self._bend(self.high)
        values = np.asarray(values, float)
        share = (
            (self._bend(values) - low) / (high - low)
            if high > low
            else np.where(np.isfinite(values), 0.5, values)
        )
        return np.round(self._start + share * (self._end - self._start), 1)

    def from_low(self) -> "Axis":
        """The axis with its low end as the first tick, and without those that lie too near it: for counts, which begin at 1."""
        gap = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 0.0
        self.ticks = [
            self.low,
            *(tick for tick in self.ticks if tick > self.low and tick >= self.low + gap / 2),
        ]
        return self

    def marks(self, words=lambda tick: f"{tick:.6g}") -> list[tuple[float, str]]:
        """Place and words of each tick."""
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
    """An axis with about `count` steps. exact: it ends at the values, else at the round numbers around them; whole: its ticks are whole numbers."""
    marked = ticks(low, high, count, whole)
    return (
        Axis(low, high, start, end, marked)
        if exact
        else Axis(marked[0], marked[-1], start, end, marked)
    )


def value_axis(
    values: np.ndarray, start: float, end: float, count: int = 5, zero: bool = True
) -> Axis:
    """Round numbers around all finite values, and 0 if `zero`; by decades where one outlier would flatten all others."""
    values = values[np.isfinite(values)]
    if not len(values):
        return linear_axis(0.0, 0.0, start, end, count)
    if values.min() > 0 and values.max() > FLATTENED * np.median(values):
        first, last = math.floor(math.log10(values.min())), math.ceil(math.log10(values.max()))
        decades = [10.0**power for power in range(first, last + 1, math.ceil((last - first) / 6))]
        return Axis(10.0**first, max(decades[-1], values.max()), start, end, decades, "Logarithmic")
    low, high = values.min(), values.max()
    return linear_axis(
        min(low, 0.0) if zero else low, max(high, 0.0) if zero else high, start, end, count
    )


def search_axis(low: float, high: float, start: float, end: float, scale: str) -> Axis:
    """An axis over a range that was searched, from end to end, with ticks that suit its scale."""
    if scale == "Logarithmic":
        return Axis(low, high, start, end, logarithmic_ticks(low, high), scale)
    if scale == "ReverseLogarithmic":
        return Axis(
            low,
            high,
            start,
            end,
            [float(f"{1 - tick:.9g}") for tick in logarithmic_ticks(1 - high, 1 - low)],
            scale,
        )
    return linear_axis(low, high, start, end, exact=True)


def ticks(low: float, high: float, count: int, whole: bool = False) -> list[float]:
    """Round numbers, two or more, that enclose both ends."""
    rough = (high - low) / count or 1 / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(
        magnitude * factor for factor in (1, 2, 5, 10) if magnitude * factor >= rough * 0.999
    )
    step = max(1, round(step)) if whole else step
    first = math.floor(low / step + 1e-6)
    last = max(math.ceil(high / step - 1e-6), first + 1)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Decades over a wide range, 1, 2 and 5 of each over a smaller one, else round numbers; low is above 0."""
    decades = math.log10(high / low)
    if decades < 1:
        return ticks(low, high, 4)
    factors = (1,) if decades > 3 else (1, 2, 5)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = math.ceil(decades / 6)
    return [
        float(f"{factor * 10.0**power:.9g}")
        for power in range(first, last + 1, every)
        for factor in factors
    ]


def line_path(x: np.ndarray, y: np.ndarray) -> str:
    """An SVG path through the points, broken where y is not finite."""
    words, pen = [], "M"
    for across, down in zip(np.asarray(x).tolist(), np.asarray(y).tolist()):
        if math.isfinite(down):
            words.append(f"{pen}{across:g} {down:g}")
            pen = "L"
        else:
            pen = "M"
    return "".join(words)


def dots(x: np.ndarray, y: np.ndarray, most: int) -> list[tuple[float, float]]:
    """The points that no stroke would show; all of a line of `most` points or fewer."""
    known = np.isfinite(y)
    before, after = np.concatenate([[False], known[:-1]]), np.concatenate([known[1:], [False]])
    return [
        (float(x[i]), float(y[i]))
        for i in np.flatnonzero(known if len(x) <= most else known & ~before & ~after)
    ]
