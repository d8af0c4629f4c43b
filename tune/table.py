"""A search as text: the table of all trials of a chain of tuning jobs, and the lines that tell how a running one stands.

Plain lines, for a terminal or a log: no colours, no control characters, whatever the names hold.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from tune.ranking import Bars, Entry, Ranking, bars, short, words_of_range
from tune.results import TuningJob

BAR = 24  # characters of a whole bar
EIGHTHS = " ▏▎▍▌▋▊▉█"
WIDEST_NAME, WIDEST_VALUE, WIDEST_JOB = (
    22,
    18,
    32,
)  # characters of a column's head, of a value, of a job's name; the rest is cut
MOST_RUNNING, MOST_BEST = 12, 5  # in the lines of progress


def table(jobs: Sequence[TuningJob], most: int | None = None) -> str:
    """All trials of the jobs, the best first, below what was searched and what was static; `most` lines of it at most.

    Those without a value follow, each with its reason.
    """
    if not jobs:
        return "no tuning jobs"
    ranking = Ranking(tuple(jobs))
    lines = [line for job in ranking.jobs for line in _job_lines(job, ranking)]
    if ranking.constant:
        lines.append("static: " + _settings(ranking.constant))
    lines += [ranking.counts(), *map(clean, ranking.notes()), ""]
    lines += _rows(ranking, most) if ranking.told else ["no trial has an objective"]
    if ranking.best:
        lines += [
            "",
            f"best: {clean(ranking.best.trial.name)}, {clean(ranking.last.objective)} {ranking.best.value:.6g}: {_choice(ranking, ranking.best)}",
        ]
    if ranking.untold:
        shown = ranking.untold[:most]
        lines += ["", "without a value:"]
        lines += [
            f"  {clean(entry.trial.name)}  {entry.trial.status}  {_choice(ranking, entry)}: {clean(entry.why())}"
            for entry in shown
        ]
        lines += (
            [f"  and {len(ranking.untold) - len(shown)} more"]
            if len(shown) < len(ranking.untold)
            else []
        )
    return "\n".join(lines)


def progress(jobs: Sequence[TuningJob], limit: int | None = None) -> str:
    """How a search stands: counts, the best so far, the table of its best trials, each running one with its last value. limit: the trials
    it may run in all.

    The last job is the one that runs; the others are its parents.
    """
    if not jobs:
        return "no tuning jobs"
    ranking, own = Ranking(tuple(jobs)), Ranking((jobs[-1],))
    of = f" of {limit}" if limit is not None else ""
    ended = sum(entry.trial.status != "InProgress" for entry in own.entries)
    head = f"{clean(own.last.name)}: {ended}{of} ended ({own.counts()})"
    best = ranking.best
    lines = [
        f"{head}; best "
        + (
            f"{best.value:.6g} {clean(best.trial.name)} {_choice(ranking, best)}"
            if best
            else "none yet"
        )
    ]
    running = [entry for entry in own.entries if entry.trial.status == "InProgress"]
    told = Ranking(
        (replace(own.last, trials=tuple(entry.trial for entry in own.entries if entry.ended)),)
    )
    lines += [f"  {line}" for line in _rows(told, MOST_BEST)] if told.told else []
    for entry in running[:MOST_RUNNING]:
        told = (
            f"value {len(entry.trial.curve)}: {entry.trial.curve[-1]:.6g}"
            if entry.trial.curve
            else "no value yet"
        )
        lines.append(f"  {clean(entry.trial.name)} {_choice(own, entry)} {told}")
    if len(running) > MOST_RUNNING:
        lines.append(f"  and {len(running) - MOST_RUNNING} more running")
    return "\n".join(lines)


def _job_lines(job: TuningJob, ranking: Ranking) -> list[str]:
    count = f"{len(job.trials)} trial{'' if len(job.trials) == 1 else 's'}"
    lines = [
        f"{clean(job.name)}  {clean(job.strategy)}, {clean(job.status)}: {job.direction.lower()} {clean(job.objective)}, {count}"
    ]
    if job.parents:
        lines.append(
            f"  starts from {', '.join(map(clean, job.parents))}"
            + (f" ({clean(job.warm_start)})" if job.warm_start else "")
        )
    lines += [
        f"  {clean(name)}: {clean(words_of_range(search))}" for name, search in job.ranges.items()
    ]
    static = {name: value for name, value in job.static.items() if name not in ranking.constant}
    return lines + ([f"  static: {_settings(static)}"] if static else [])


def _rows(ranking: Ranking, most: int | None) -> list[str]:
    """The aligned rows of those with a value, with their heads; a line on what brackets mean where there are any."""
    shown = ranking.told[:most]
    scale = bars([entry.value for entry in ranking.told])
    heads = ["#", "job", "trial", *ranking.columns, "status", ranking.last.objective]
    rows = [
        [
            str(place),
            _cut(clean(entry.job.name), WIDEST_JOB),
            _cut(clean(entry.short_name), WIDEST_JOB),
            *(_setting(ranking, entry, name) for name in ranking.columns),
            entry.trial.status,
            f"{entry.value:.6g}",
        ]
        for place, entry in enumerate(shown, start=1)
    ]
    heads = [_cut(clean(head), WIDEST_NAME) for head in heads]
    widths = [max(_width(row[number]) for row in [heads, *rows]) for number in range(len(heads))]
    lines = ["  ".join(_pad(head, width) for head, width in zip(heads, widths)).rstrip()]
    for entry, row in zip(shown, rows):
        text = "  ".join(_pad(cell, width) for cell, width in zip(row, widths))
        lines.append(
            f"{text}  {_pad(_bar(scale, entry.value), BAR + 1)}{'  best' if entry is ranking.best else ''}".rstrip()
        )
    if len(shown) < len(ranking.told):
        lines.append(f"and {len(ranking.told) - len(shown)} more")
    if any(not ranking.searched(entry, name) for entry in shown for name in ranking.columns):
        lines.append("(in brackets: static in that job)")
    return lines


def _bar(scale: Bars, value: float) -> str:
    if scale.cut(value):
        return "█" * BAR + "›"
    eighths = round(8 * BAR * scale.share(value))
    return ("█" * (eighths // 8) + EIGHTHS[eighths % 8]).rstrip()


def _setting(ranking: Ranking, entry: Entry, name: str) -> str:
    text = _cut(clean(short(entry.setting(name))), WIDEST_VALUE) or "-"
    return text if ranking.searched(entry, name) else f"({text})"


def _choice(ranking: Ranking, entry: Entry) -> str:
    """What the search chose for a trial."""
    return _settings(
        {
            name: short(entry.setting(name))
            for name in ranking.columns
            if ranking.searched(entry, name)
        }
    )


def _settings(values: dict[str, str]) -> str:
    return " ".join(f"{clean(name)}={clean(value)}" for name, value in values.items())


def clean(text: object) -> str:
    """The text on one line, without characters that steer a terminal."""
    return "".join(
        letter if letter.isprintable() else " " if letter.isspace() else "�" for letter in str(text)
    )


def _width(text: str) -> int:
    """Columns of a terminal."""
    return sum(
        0
        if unicodedata.combining(letter)
        else 2
        if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
