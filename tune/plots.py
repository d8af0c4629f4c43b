"""A search as pictures: history, learning curves, parallel coordinates. Numbers become places in SVG units and words; the template draws them."""

import math
from dataclasses import dataclass

import numpy as np

from artifact.plot import Axis, dots, line_path, linear_axis, search_axis, value_axis
from tune.ranking import Entry, Ranking, number, short
from tune.scales import scale_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 460, 256, 58, 448, 12, 206
COLOURS = 8  # of jobs; then they begin again, as their marks do after four
MOST_POINTS = 200  # of a learning curve: a plot has room for no more
AXIS_GAP, PARALLEL_WIDTH, PARALLEL_HEIGHT, PARALLEL_TOP, PARALLEL_BOTTOM, SIDE = (
    118,
    1040,
    352,
    48,
    326,
    84,
)
MOST_LABELS = 14  # of a categorical axis
LONGEST_NAME, LETTER = 22, 7.2  # letters of an axis's name, the rest is cut; the width of one


@dataclass(frozen=True)
class Mark:
    """A trial in a picture: an SVG path, the place of its job, whether it is filled, and its words."""

    path: str
    job: int
    filled: bool
    words: str


def words_of(entry: Entry, ranking: Ranking) -> str:
    """A trial in one line, for the tips of the pictures."""
    value = "" if entry.value is None else f" {entry.value:.6g}"
    settings = ", ".join(
        f"{name} {short(entry.setting(name))}"
        for name in ranking.columns
        if ranking.searched(entry, name)
    )
    return f"{entry.trial.name}: {entry.trial.status}{value}; {settings}"


def history(ranking: Ranking) -> dict | None:
    """The objective over the trials in the order of their start, the best so far as steps, those without a value at the foot. None without a value."""
    if not ranking.told:
        return None
    places = {job.name: place for place, job in enumerate(ranking.jobs)}
    values = np.array(
        [math.nan if entry.value is None else entry.value for entry in ranking.entries]
    )
    x_axis = linear_axis(1, len(values), LEFT + 10, RIGHT - 8, 6, exact=True, whole=True)
    y_axis = value_axis(values, BOTTOM - 8, TOP, zero=False)
    x, y = x_axis.place(np.arange(1, len(values) + 1)), y_axis.place(values)
    marks = [
        Mark(
            _mark(places[entry.job.name], x[i], y[i]),
            places[entry.job.name] % COLOURS,
            entry.ended,
            words_of(entry, ranking),
        )
        for i, entry in enumerate(ranking.entries)
        if entry.value is not None
    ]
    lost = [
        (x[i], f"{words_of(entry, ranking)}; {entry.why()}")
        for i, entry in enumerate(ranking.entries)
        if entry.value is None
    ]
    ends = np.cumsum([len(job.trials) for job in ranking.jobs])[:-1]
    between = (
        [float(x_axis.place(end + 0.5)) for end in ends if 0 < end < len(values)]
        if len(values) > 1
        else []
    )
    jobs = [
        (job.name, place % COLOURS, _mark(place, 6, 6))
        for job, place in zip(ranking.jobs, range(len(ranking.jobs)))
    ]
    return {
        "x_ticks": x_axis.from_low().marks(),
        "y_ticks": y_axis.marks(),
        "logarithmic": y_axis.scale != "Linear",
        "marks": marks,
        "lost": lost,
        "best": _steps(ranking, x, y_axis),
        "between": between,
        "jobs": jobs,
        "count": len(values),
    }


def _steps(ranking: Ranking, x: np.ndarray, y_axis: Axis) -> str:
    """The best so far, a path of steps; it begins anew with each job whose values do not compare to those before."""
    better = max if ranking.last.direction == "Maximize" else min
    words, best, job = [], None, None
    for place, entry in zip(x.tolist(), ranking.entries):
        if not ranking.comparable and entry.job is not job:
            best, job = None, entry.job
        if entry.ended and entry.value is not None:
            start, best = best is None, entry.value if best is None else better(best, entry.value)
            words.append(
                f"{'M' if start else 'H'}{place:g}"
                + (
                    f" {float(y_axis.place(best)):g}"
                    if start
                    else f"V{float(y_axis.place(best)):g}"
                )
            )
        elif best is not None:
            words.append(f"H{place:g}")
    return "".join(words)


def _mark(job: int, x: float, y: float, size: float = 3.4) -> str:
    """A circle, a square, a diamond or a triangle, by the job."""
    x, y, s = float(x), float(y), size
    kind = job % 4
    if kind == 0:
        return f"M{x - s:g} {y:g}a{s} {s} 0 1 0 {2 * s} 0a{s} {s} 0 1 0 {-2 * s} 0Z"
    if kind == 1:
        return f"M{x - s + 0.4:g} {y - s + 0.4:g}h{2 * s - 0.8:g}v{2 * s - 0.8:g}h{0.8 - 2 * s:g}Z"
    if kind == 2:
        return f"M{x:g} {y - s - 0.8:g}l{s + 0.8:g} {s + 0.8:g}l{-s - 0.8:g} {s + 0.8:g}l{-s - 0.8:g} {-s - 0.8:g}Z"
    return f"M{x:g} {y - s - 0.6:g}l{s + 0.6:g} {1.8 * s + 0.4:g}h{-2 * s - 1.2:g}Z"


def curves(ranking: Ranking) -> dict | None:
    """The values that each trial told, in their order, the best trial on top. None when no trial told any."""
    told = [entry for entry in ranking.entries if any(map(math.isfinite, entry.trial.curve))]
    if not told:
        return None
    told.sort(key=lambda entry: entry is ranking.best)
    everything = np.concatenate([np.array(entry.trial.curve, float) for entry in told])
    longest = max(len(entry.trial.curve) for entry in told)
    x_axis = linear_axis(1, longest, LEFT + 8, RIGHT - 8, 6, exact=True, whole=True)
    y_axis = value_axis(everything, BOTTOM - 4, TOP, zero=False)
    lines = []
    for entry in told:
        values = np.array(entry.trial.curve, float)
        chosen = np.unique(
            np.linspace(0, len(values) - 1, min(len(values), MOST_POINTS)).round().astype(int)
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            x, y = x_axis.place(chosen + 1), y_axis.place(values[chosen])
        y = np.where(np.isfinite(values[chosen]) & np.isfinite(y), y, np.nan)
        known = np.flatnonzero(np.isfinite(y))
        end = (float(x[known[-1]]), float(y[known[-1]])) if len(known) else None
        lines.append(
            {
                "path": line_path(x, y),
                "dots": dots(x, y, 1),
                "best": entry is ranking.best,
                "words": words_of(entry, ranking),
                "end": end,
                "stopped": entry.trial.status == "Stopped",
                "failed": entry.trial.status == "Failed",
            }
        )
    return {
        "x_ticks": x_axis.from_low().marks(),
        "y_ticks": y_axis.marks(),
        "logarithmic": y_axis.scale != "Linear",
        "lines": lines,
        "longest": longest,
        "opacity": faint(len(lines)),
    }


def faint(lines: int) -> float:
    """How opaque each of so many lines is, so that many together do not hide what lies behind them."""
    return round(max(0.25, min(0.85, 6 / math.sqrt(max(lines, 1)))), 2)


def parallel(ranking: Ranking) -> dict | None:
    """One upright axis a searched hyperparameter and one for the objective, one line a trial, the best on top. None without trials to draw."""
    if not ranking.told or not ranking.columns:
        return None
    count = len(ranking.columns) + 1
    width = (
        max(PARALLEL_WIDTH, 2 * SIDE + AXIS_GAP * (count - 1))
        if count > 3
        else 2 * SIDE + 260 * (count - 1)
    )
    across = np.linspace(SIDE, width - SIDE, count)
    axes, heights = [], []
    for name in ranking.columns:
        axis, height = _upright(ranking, name)
        axes.append(axis)
        heights.append(height)
    y_axis = value_axis(
        np.array([entry.value for entry in ranking.told]), PARALLEL_BOTTOM, PARALLEL_TOP, zero=False
    )
    axes.append(
        {
            "name": ranking.last.objective,
            "scale": "" if y_axis.scale == "Linear" else "logarithmic",
            "ticks": y_axis.marks(),
        }
    )
    heights.append(y_axis.place([entry.value for entry in ranking.told]))
    order = list(dict.fromkeys(entry.value for entry in ranking.told))
    lines = [
        {
            "path": line_path(across, [height[place] for height in heights]),
            "share": 1 - order.index(entry.value) / max(1, len(order) - 1),
            "best": entry is ranking.best,
            "words": words_of(entry, ranking),
        }
        for place, entry in enumerate(ranking.told)
    ]
    lines.sort(key=lambda line: (line["best"], line["share"]))
    lengths = [min(len(axis["name"]), LONGEST_NAME) for axis in axes]
    crowded = any(
        (a + b) / 2 * LETTER > across[1] - across[0] for a, b in zip(lengths, lengths[1:])
    )
    return {
        "width": width,
        "height": PARALLEL_HEIGHT,
        "lines": lines,
        "opacity": faint(len(lines)),
        "longest": LONGEST_NAME,
        "axes": [
            {"x": float(x), "row": place % 2 * crowded, "last": place == count - 1, **axis}
            for place, (x, axis) in enumerate(zip(across, axes))
        ],
    }


def _upright(ranking: Ranking, name: str) -> tuple[dict, np.ndarray]:
    """An axis for a hyperparameter, and the height of each told trial on it; NaN where its value is not known."""
    scale = scale_of(ranking, name)
    texts = [entry.setting(name) for entry in ranking.told]
    if scale.categories:
        steps = search_axis(
            0, len(scale.categories) - 1, PARALLEL_BOTTOM - 14, PARALLEL_TOP + 14, "Linear"
        ).place(np.arange(len(scale.categories)))
        at = dict(zip(scale.categories, steps.tolist()))
        every = math.ceil(len(at) / MOST_LABELS)
        marks = [(place, short(category)) for category, place in list(at.items())[::every]]
        return {"name": name, "scale": "categories", "ticks": marks}, np.array(
            [at.get(text, math.nan) for text in texts]
        )
    axis = search_axis(scale.low, scale.high, PARALLEL_BOTTOM, PARALLEL_TOP, scale.name)
    words = {"Logarithmic": "logarithmic", "ReverseLogarithmic": "reverse logarithmic"}.get(
        scale.name, ""
    )
    return {"name": name, "scale": words, "ticks": axis.marks()}, axis.place(
        [math.nan if (value := number(text)) is None else value for text in texts]
    )
