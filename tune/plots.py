"""A search as pictures: history and learning curves. The template draws them.

Numbers become places in SVG units, and words.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from artifact.pages.plot import Axis, Values, dots, line_path, linear_axis, value_axis
from tune.ranking import Entry, Ranking, short

# Of the drawing, in SVG units
LEFT = 58
RIGHT = 448
TOP = 12
BOTTOM = 206
LOST_ROOM = 8  # above the foot, for the crosses of trials without a value
MARK_SIZE = 3.4
LEGEND_MARK = 6  # the place of a mark in its legend, from the corner
COLOURS = 8  # of jobs; then they begin again, as their marks do after four
MOST_POINTS = 200  # of a learning curve: a plot has room for no more

Plot = dict[str, Any]  # the parts of a picture, by the names that the template has for them


@dataclass(frozen=True)
class Mark:
    """A trial in a picture.

    path: of SVG; job: its colour; filled: whether the trial has ended; words: of its tip.
    """

    path: str
    job: int
    filled: bool
    words: str


def words_of(entry: Entry, ranking: Ranking) -> str:
    """A trial in one line, for the tips of the pictures."""
    state = entry.trial.status
    if entry.value is not None:
        state += f" {entry.value:.6g}"
    names = [name for name in ranking.columns if ranking.searched(entry, name)]
    settings = ", ".join(f"{name} {short(entry.setting(name))}" for name in names)
    return f"{entry.trial.name}: {state}; {settings}"


def history(ranking: Ranking) -> Plot | None:
    """The objective over the trials in the order of their start, the best so far as steps.

    Trials without a value stand at the foot. None without any value.
    """
    if not ranking.ranked:
        return None
    entries = ranking.entries
    places = {job.name: place for place, job in enumerate(ranking.jobs)}
    values = _values(ranking)
    x_axis = linear_axis(1, len(values), LEFT + 10, RIGHT - 8, 6, exact=True, whole=True)
    y_axis = value_axis(values, BOTTOM - LOST_ROOM, TOP, zero=False)
    x = x_axis.place(np.arange(1, len(values) + 1))
    y = y_axis.place(values)
    marks = []
    lost = []
    for i, entry in enumerate(entries):
        words = words_of(entry, ranking)
        if entry.value is None:
            lost.append((x[i], f"{words}; {entry.why()}"))
        else:
            job = places[entry.job.name]
            path = _mark(job, float(x[i]), float(y[i]))
            marks.append(Mark(path, job % COLOURS, entry.ended, words))
    jobs = []
    for place, job_shown in enumerate(ranking.jobs):
        mark = _mark(place, LEGEND_MARK, LEGEND_MARK)
        jobs.append((job_shown.name, place % COLOURS, mark))
    return {
        "x_ticks": x_axis.from_low().marks(),
        "y_ticks": y_axis.marks(),
        "logarithmic": y_axis.scale != "Linear",
        "marks": marks,
        "lost": lost,
        "best": _steps(ranking, x, y_axis),
        "between": _between(ranking, x_axis),
        "jobs": jobs,
        "count": len(values),
    }


def _values(ranking: Ranking) -> Values:
    """The objective of each trial, in the order of their start; NaN without one."""
    values = np.full(len(ranking.entries), math.nan)
    for place, entry in enumerate(ranking.entries):
        if entry.value is not None:
            values[place] = entry.value
    return values


def _between(ranking: Ranking, x_axis: Axis) -> list[float]:
    """The places between the trials of two jobs."""
    count = len(ranking.entries)
    if count < 2:
        return []
    ends = np.cumsum([len(job.trials) for job in ranking.jobs])
    inner = [end for end in ends[:-1] if 0 < end < count]
    return [float(x_axis.place(end + 0.5)) for end in inner]


def _steps(ranking: Ranking, x: Values, y_axis: Axis) -> str:
    """The best so far, a path of steps.

    It begins anew with each job whose values do not compare to those before.
    """
    better = min
    if ranking.last.direction == "Maximize":
        better = max
    words = []
    best: float | None = None
    job = None
    for place, entry in zip(x.tolist(), ranking.entries, strict=True):
        if not ranking.comparable and entry.job is not job:
            best = None
            job = entry.job
        if not entry.ended or entry.value is None:
            if best is not None:
                words.append(f"H{place:g}")
        elif best is None:
            best = entry.value
            words.append(f"M{place:g} {float(y_axis.place(best)):g}")
        else:
            best = better(best, entry.value)
            words.append(f"H{place:g}V{float(y_axis.place(best)):g}")
    return "".join(words)


def _mark(job: int, x: float, y: float, size: float = MARK_SIZE) -> str:
    """A circle, a square, a diamond or a triangle, by the job."""
    kind = job % 4
    if kind == 0:
        # Two half circles: an arc of SVG cannot end where it begins.
        half = f"a{size} {size} 0 1 0"
        return f"M{x - size:g} {y:g}{half} {2 * size} 0{half} {-2 * size} 0Z"
    if kind == 1:
        side = 2 * size - 0.8
        return f"M{x - size + 0.4:g} {y - size + 0.4:g}h{side:g}v{side:g}h{-side:g}Z"
    if kind == 2:
        s = size + 0.8
        return f"M{x:g} {y - s:g}l{s:g} {s:g}l{-s:g} {s:g}l{-s:g} {-s:g}Z"
    s = size + 0.6
    return f"M{x:g} {y - s:g}l{s:g} {1.8 * size + 0.4:g}h{-2 * s:g}Z"


def curves(ranking: Ranking) -> Plot | None:
    """The values that each trial printed, in their order, the best trial on top; None without."""
    shown = [entry for entry in ranking.entries if any(map(math.isfinite, entry.trial.curve))]
    if not shown:
        return None
    shown.sort(key=lambda entry: entry is ranking.best)
    everything = np.concatenate([np.array(entry.trial.curve, float) for entry in shown])
    longest = max(len(entry.trial.curve) for entry in shown)
    x_axis = linear_axis(1, longest, LEFT + 8, RIGHT - 8, 6, exact=True, whole=True)
    y_axis = value_axis(everything, BOTTOM - 4, TOP, zero=False)
    return {
        "x_ticks": x_axis.from_low().marks(),
        "y_ticks": y_axis.marks(),
        "logarithmic": y_axis.scale != "Linear",
        "lines": [_curve(entry, ranking, x_axis, y_axis) for entry in shown],
        "longest": longest,
        "opacity": faint(len(shown)),
    }


def _curve(entry: Entry, ranking: Ranking, x_axis: Axis, y_axis: Axis) -> Plot:
    """One trial's line, with gaps where a value is not finite or not on a logarithmic axis."""
    values = np.array(entry.trial.curve, float)
    points = min(len(values), MOST_POINTS)
    spread = np.linspace(0, len(values) - 1, points)
    chosen = np.unique(spread.round().astype(int))
    with np.errstate(invalid="ignore", divide="ignore"):  # a logarithm of 0 or less
        x = x_axis.place(chosen + 1)
        y = y_axis.place(values[chosen])
    y[~np.isfinite(values[chosen]) | ~np.isfinite(y)] = np.nan
    known = np.flatnonzero(np.isfinite(y))
    end = None
    if len(known):
        last = known[-1]
        end = (float(x[last]), float(y[last]))
    return {
        "path": line_path(x, y),
        "dots": dots(x, y, 1),
        "best": entry is ranking.best,
        "words": words_of(entry, ranking),
        "end": end,
        "stopped": entry.trial.status == "Stopped",
        "failed": entry.trial.status == "Failed",
    }


def faint(lines: int) -> float:
    """The opacity of each line: many lines together must not hide those behind them."""
    opacity = 6 / math.sqrt(max(lines, 1))
    return round(max(0.25, min(0.85, opacity)), 2)
