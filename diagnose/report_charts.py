"""Numbers as SVG: lines over time, a histogram, boxes. Sizes are SVG units, colours are the page's own classes."""

from collections.abc import Sequence

import numpy as np

from artifact.plot import dots, line_path, linear_axis

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 220, 58, 448, 12, 184
MOST_POINTS = 300  # of a line: a plot has room for no more
MOST_DOTS = 30
GAP = 10.0  # usual distances between two measurements after which the line breaks
LINES = ("blue", "orange", "green", "violet")


def over_time(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same line with MOST_POINTS points at most, means of what lies together; NaN where nothing was measured. float64 [N] each."""
    if len(times) < 2 or times[-1] <= times[0]:
        return times, values
    if len(times) > MOST_POINTS:
        points = min(
            MOST_POINTS, len(times) // 3
        )  # three or more in each, so that none is empty for a late measurement
        place = np.minimum(
            ((times - times[0]) / (times[-1] - times[0]) * points).astype(int), points - 1
        )
        with np.errstate(invalid="ignore"):
            means = np.bincount(place, values, points) / np.bincount(place, minlength=points)
        return times[0] + (np.arange(points) + 0.5) * (times[-1] - times[0]) / points, means
    breaks = np.flatnonzero(np.diff(times) > GAP * np.median(np.diff(times))) + 1
    return np.insert(times, breaks, times[breaks - 1]), np.insert(values, breaks, np.nan)


def chart(
    title: str,
    unit: str,
    x_label: str,
    lines: dict[str, tuple[np.ndarray, np.ndarray]],
    top: float | None = None,
    spans: Sequence[tuple[float, float, str]] = (),
) -> dict:
    """A plot of lines by name, each x and y float64 [N]. top: where the y axis must reach; spans: shaded (from, to, words) along x."""
    known = np.concatenate([y[np.isfinite(y)] for _, y in lines.values()] or [np.zeros(0)])
    xs = np.concatenate([x for x, _ in lines.values()] or [np.zeros(0)])
    high = max(known.max(initial=0.0), top or 0.0)
    factor, unit = _scaled(high, unit)
    y_axis = linear_axis(0.0, high / factor, BOTTOM, TOP, 4, exact=top is not None and high <= top)
    x_axis = linear_axis(
        xs.min(initial=np.inf) if len(xs) else 0.0,
        xs.max(initial=-np.inf) if len(xs) else 1.0,
        LEFT,
        RIGHT,
        6,
        exact=True,
    )
    return {
        "title": title,
        "unit": unit,
        "x_label": x_label,
        "x_ticks": x_axis.marks(),
        "y_ticks": y_axis.marks(),
        "lines": [
            {
                "name": name,
                "colour": LINES[number % len(LINES)],
                "path": line_path(x_axis.place(x), y_axis.place(y / factor)),
                "dots": dots(x_axis.place(x), y_axis.place(y / factor), MOST_DOTS),
            }
            for number, (name, (x, y)) in enumerate(lines.items())
        ],
        "spans": [
            (x_axis.place(np.array([low, high])).tolist(), words) for low, high, words in spans
        ],
    }


def histogram(values: np.ndarray) -> dict:
    """How often steps took how long, in 40 bars; where few steps lie far out, the slowest half percent have a bar of their own."""
    factor, unit = (1e-3, "ms") if np.median(values) < 1 else (1.0, "s")
    limit = float(np.quantile(values, 0.995))
    limit = (
        limit if values.max() - values.min() > 2 * (limit - values.min()) else float(values.max())
    )
    usual, slow = values[values <= limit], values[values > limit]
    low, high = usual.min(), max(usual.max(), usual.min() * 1.001 + 1e-9)
    counts, edges = np.histogram(usual, 40, (low, high))
    x_axis = linear_axis(
        low / factor, high / factor, LEFT, RIGHT - (34 if len(slow) else 0), 6, exact=True
    )
    y_axis = linear_axis(0.0, max(counts.max(), len(slow)), BOTTOM, TOP, 4, whole=True)
    places = x_axis.place(edges / factor)
    bars = [
        {
            "x": places[i],
            "width": max(0.5, round(places[i + 1] - places[i] - 1, 1)),
            "y": y_axis.place(count),
            "count": int(count),
            "colour": "blue",
            "words": f"{count} steps of {edges[i] / factor:.4g} to {edges[i + 1] / factor:.4g} {unit}",
        }
        for i, count in enumerate(counts)
        if count
    ]
    if len(slow):
        bars.append(
            {
                "x": RIGHT - 20,
                "width": 18,
                "y": y_axis.place(len(slow)),
                "count": len(slow),
                "colour": "orange",
                "words": f"{len(slow)} steps of {limit / factor:.4g} to {slow.max() / factor:.4g} {unit}",
            }
        )
    return {
        "unit": unit,
        "bars": bars,
        "x_ticks": x_axis.marks(),
        "y_ticks": y_axis.marks(),
        "slow": len(slow),
        "slowest": f"{values.max() / factor:.4g}",
        "limit": f"{limit / factor:.4g}",
    }


def boxes(rows: dict[str, dict[str, float]]) -> dict:
    """Box plots of percentages, one a row, by name: whiskers, quartiles and median, as diagnose.profiler_result.box gives them."""
    axis = linear_axis(0.0, 100.0, 150, RIGHT - 14, 5, exact=True)
    return {
        "height": 30 + 24 * len(rows),
        "ticks": axis.marks(),
        "rows": [
            {
                "name": name,
                "y": 8 + 24 * number,
                **{
                    key: float(axis.place(value[key]))
                    for key in ("lower", "p25", "p50", "p75", "upper")
                },
                "words": ", ".join(
                    f"{key} {value[key]:.0f} %" for key in ("lower", "p25", "p50", "p75", "upper")
                ),
            }
            for number, (name, value) in enumerate(rows.items())
        ],
    }


def _scaled(high: float, unit: str) -> tuple[float, str]:
    """Bytes a second in the prefix that suits their size."""
    if unit != "B/s":
        return 1.0, unit
    for factor, name in ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s")):
        if high >= factor:
            return factor, name
    return 1.0, unit
