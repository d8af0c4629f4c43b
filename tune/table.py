"""A search as text: the table of all trials of a chain of tuning jobs, and lines of progress.

Plain lines, for a log or a pipe: no colours, no control characters, whatever the names hold.
tune/terminal_table.py has a terminal's.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from tune.ranking import Bars, Entry, Ranking, bars, counted_trials, short, words_of_range
from tune.results import TuningJob

BAR = 24  # characters of a whole bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
# Characters at most; the rest is cut
WIDEST_NAME = 22  # of a column's head
WIDEST_VALUE = 18
WIDEST_JOB = 32  # of a job's name
# Trials in the lines of progress
MOST_RUNNING = 12
MOST_BEST = 5


def table(jobs: Sequence[TuningJob], most: int | None = None) -> str:
    """All trials of the jobs, the best first, below the ranges and the static hyperparameters.

    Those without a value follow, each with its reason. most: rows at most, of either kind.
    """
    if not jobs:
        return "no tuning jobs"
    ranking = Ranking(tuple(jobs))
    lines = [*opening(ranking), ""]
    if ranking.ranked:
        lines += _rows(ranking, most)
    else:
        lines.append("no trial has an objective")
    return "\n".join([*lines, *closing(ranking, most)])


def opening(ranking: Ranking) -> list[str]:
    """The lines above the rows: jobs, ranges, static hyperparameters, counts."""
    lines = []
    for job in ranking.jobs:
        lines += _job_lines(job, ranking)
    if ranking.constant:
        lines.append("static: " + _settings(ranking.constant))
    return [*lines, ranking.counts(), *map(clean, ranking.notes())]


def closing(ranking: Ranking, most: int | None) -> list[str]:
    """The lines below the rows: the best trial, and those without a value."""
    lines = []
    best = ranking.best
    if best:
        objective = f"{clean(ranking.last.objective)} {best.score:.6g}"
        words = f"best: {clean(best.trial.name)}, {objective}: {_choice(ranking, best)}"
        lines += ["", words]
    if ranking.unranked:
        lines += ["", "without a value:", *_unranked_lines(ranking, most)]
    return lines


def progress(jobs: Sequence[TuningJob], limit: int | None = None) -> str:
    """How a search stands: counts, the best trials so far, each running one with its last value.

    The last job is the one that runs; the others are its parents. limit: its trials in all.
    """
    if not jobs:
        return "no tuning jobs"
    ranking = Ranking(tuple(jobs))
    own = Ranking((jobs[-1],))
    running = [entry for entry in own.entries if entry.trial.status == "InProgress"]
    ended = len(own.entries) - len(running)
    count = f"{ended}"
    if limit is not None:
        count += f" of {limit}"
    best = ranking.best
    words = "none yet"
    if best:
        words = f"{best.score:.6g} {clean(best.trial.name)} {_choice(ranking, best)}"
    lines = [f"{clean(own.last.name)}: {count} ended ({own.counts()}); best {words}"]
    finished = tuple(entry.trial for entry in own.entries if entry.ended)
    valued = Ranking((replace(own.last, trials=finished),))
    if valued.ranked:
        lines += [f"  {line}" for line in _rows(valued, MOST_BEST)]
    for entry in running[:MOST_RUNNING]:
        lines.append(f"  {clean(entry.trial.name)} {_choice(own, entry)} {_last_value(entry)}")
    if len(running) > MOST_RUNNING:
        lines.append(f"  and {len(running) - MOST_RUNNING} more running")
    return "\n".join(lines)


def _last_value(entry: Entry) -> str:
    curve = entry.trial.curve
    if not curve:
        return "no value yet"
    return f"value {len(curve)}: {curve[-1]:.6g}"


def _unranked_lines(ranking: Ranking, most: int | None) -> list[str]:
    """The trials without a value, each with its reason."""
    lines = []
    for entry in ranking.unranked[:most]:
        trial = entry.trial
        chosen = f"{clean(trial.name)}  {trial.status}  {_choice(ranking, entry)}"
        lines.append(f"  {chosen}: {clean(entry.why())}")
    hidden = len(ranking.unranked) - len(lines)
    if hidden:
        lines.append(f"  and {hidden} more")
    return lines


def _job_lines(job: TuningJob, ranking: Ranking) -> list[str]:
    """A job's strategy and objective, its parents, ranges and own static hyperparameters."""
    count = counted_trials(len(job.trials))
    goal = f"{job.direction.lower()} {clean(job.objective)}"
    state = f"{clean(job.strategy)}, {clean(job.status)}"
    lines = [f"{clean(job.name)}  {state}: {goal}, {count}"]
    if job.parents:
        start = f"  starts from {', '.join(map(clean, job.parents))}"
        if job.warm_start:
            start += f" ({clean(job.warm_start)})"
        lines.append(start)
    for name, search in job.ranges.items():
        lines.append(f"  {clean(name)}: {clean(words_of_range(search))}")
    own = job.static.keys() - ranking.constant.keys()
    static = {name: value for name, value in job.static.items() if name in own}
    if static:
        lines.append(f"  static: {_settings(static)}")
    return lines


def _rows(ranking: Ranking, most: int | None) -> list[str]:
    """The aligned rows of the trials with a value, below their heads."""
    shown = ranking.ranked[:most]
    scale = bars([entry.score for entry in ranking.ranked])
    heads, rows = cells(ranking, shown)
    columns = zip(heads, *rows, strict=True)
    widths = [max(map(_width, column)) for column in columns]
    lines = [_aligned(heads, widths).rstrip()]
    for entry, row in zip(shown, rows, strict=True):
        bar = _pad(bar_of(scale, entry.score), BAR + 1)
        if entry is ranking.best:
            bar += "  best"
        lines.append(f"{_aligned(row, widths)}  {bar}".rstrip())
    return [*lines, *below_rows(ranking, shown)]


def cells(ranking: Ranking, shown: Sequence[Entry]) -> tuple[list[str], list[list[str]]]:
    """The heads of the columns, and the cells of each entry."""
    heads = ["#", "job", "trial", *ranking.columns, "status", ranking.last.objective]
    heads = [cut(clean(head), WIDEST_NAME) for head in heads]
    numbered = enumerate(shown, start=1)
    return heads, [_cells(ranking, entry, place) for place, entry in numbered]


def below_rows(ranking: Ranking, shown: Sequence[Entry]) -> list[str]:
    """What the rows leave out, and what their brackets mean."""
    lines = []
    if len(shown) < len(ranking.ranked):
        lines.append(f"and {len(ranking.ranked) - len(shown)} more")
    if any(_has_static(ranking, entry) for entry in shown):
        lines.append("(in brackets: static in that job)")
    return lines


def _has_static(ranking: Ranking, entry: Entry) -> bool:
    """Whether a column's hyperparameter was static in the entry's job."""
    return not all(ranking.searched(entry, name) for name in ranking.columns)


def _cells(ranking: Ranking, entry: Entry, place: int) -> list[str]:
    return [
        str(place),
        cut(clean(entry.job.name), WIDEST_JOB),
        cut(clean(entry.short_name), WIDEST_JOB),
        *(_setting(ranking, entry, name) for name in ranking.columns),
        entry.trial.status,
        f"{entry.score:.6g}",
    ]


def _aligned(cells: list[str], widths: list[int]) -> str:
    return "  ".join(map(_pad, cells, widths))


def bar_of(scale: Bars, value: float, width: int = BAR) -> str:
    """A value as a bar. width: characters of a whole one."""
    if scale.cut(value):
        return "█" * width + "›"
    whole, eighths = divmod(round(8 * width * scale.share(value)), 8)
    return ("█" * whole + EIGHTHS[eighths]).rstrip()


def _setting(ranking: Ranking, entry: Entry, name: str) -> str:
    value = clean(short(entry.setting(name)))
    text = cut(value, WIDEST_VALUE) or "-"
    if not ranking.searched(entry, name):
        return f"({text})"
    return text


def _choice(ranking: Ranking, entry: Entry) -> str:
    """The values that the search chose for a trial."""
    names = [name for name in ranking.columns if ranking.searched(entry, name)]
    return _settings({name: short(entry.setting(name)) for name in names})


def _settings(values: dict[str, str]) -> str:
    return " ".join(f"{clean(name)}={clean(value)}" for name, value in values.items())


def clean(text: object) -> str:
    """The text on one line, without characters that steer a terminal."""
    return "".join(map(_clean_letter, str(text)))


def _clean_letter(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter.isspace():
        return " "
    return "�"


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    if unicodedata.east_asian_width(letter) in ("W", "F"):
        return 2
    return 1


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def cut(text: str, width: int) -> str:
    """The text in at most so many characters."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…"
