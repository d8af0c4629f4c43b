"""tuning.html: a search to look at, one file that needs no network.

All trials of a chain of tuning jobs ordered by objective, history, learning curves, parallel
coordinates, importances, the best hyperparameters. Results become numbers, places and words here;
`tuning.html.j2` beside it holds markup and style.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import artifact.pages.page
from artifact.pages.project_pages import About
from artifact.text.numbers import duration, percent
from tune.importances import importances
from tune.parallel import parallel
from tune.plots import COLOURS, curves, history
from tune.ranking import Entry, Ranking, bars, number, short, words_of_range
from tune.results import TuningJob
from tune.why_best import why_best

TEMPLATE = Path(__file__).with_name("tuning.html.j2")
SORTING = TEMPLATE.with_name("sort.js")
FOLLOWING = TEMPLATE.with_name("live.js")


@dataclass(frozen=True)
class Live:
    """A search under way. written: when its page was. look_s: from one look for a newer one to the
    next.
    """

    written: datetime
    look_s: float

    @property
    def time(self) -> str:
        """The time of day of this machine."""
        return f"{self.written.astimezone():%H:%M:%S}"


def write_page(path: Path, jobs: Sequence[TuningJob], live: Live | None = None) -> None:
    """Write the page on these jobs, parents first, whole or not at all.

    live: where the search is under way; an open page then follows it. ValueError without jobs,
    OSError when writing fails.
    """
    if not jobs:
        raise ValueError("a page needs one tuning job or more")
    ranking = Ranking(tuple(jobs))
    shares, unknown = importances(ranking)
    artifact.pages.page.write_page(
        path,
        TEMPLATE,
        {"percent": percent, "short": short},
        _script(live),
        about=_about(ranking, live),
        title=f"Tuning job {ranking.last.name}",
        ranking=ranking,
        facts=_facts(ranking),
        jobs=_jobs(ranking),
        rows=_rows(ranking),
        history=history(ranking),
        curves=curves(ranking),
        parallel=parallel(ranking),
        importances=shares,
        no_importances=unknown,
        best=best_hyperparameters(ranking),
        why=why_best(ranking),
        live=live,
        no_value="No trial has a value yet." if live else "No trial has a value.",
    )


def _script(live: Live | None) -> str:
    parts = [SORTING]
    if live:
        parts.append(FOLLOWING)
    return "".join(part.read_text(encoding="utf-8") for part in parts)


def _about(ranking: Ranking, live: Live | None) -> About:
    """The page's note on itself."""
    measured = {"trials": str(len(ranking.entries))}
    if ranking.best:
        measured = {f"best {ranking.last.objective}": f"{ranking.best.score:.6g}"} | measured
    if live:
        measured["search"] = "under way"
    return About("search", measured)


def best_hyperparameters(ranking: Ranking) -> str | None:
    """The best trial's hyperparameters as JSON, as a training takes them; None without a best."""
    if ranking.best is None:
        return None
    values = {**ranking.best.job.static, **ranking.best.trial.hyperparameters}
    searched_first = sorted(values, key=lambda name: name not in ranking.columns)
    # SageMaker's own begin with an underscore.
    names = [name for name in searched_first if not name.startswith("_")]
    texts = {name: str(values[name]) for name in names}
    return json.dumps(texts, indent=2, ensure_ascii=False)


def _facts(ranking: Ranking) -> dict[str, str]:
    """The facts at the top of the page, by their names."""
    best = ranking.best
    jobs = ranking.jobs
    facts = {f"Best {ranking.last.objective}": "none", "Best trial": "none"}
    if best:
        facts[f"Best {ranking.last.objective}"] = f"{best.score:.6g}"
        facts["Best trial"] = best.trial.name
    facts["Trials"] = str(len(ranking.entries))
    if len(jobs) > 1:
        facts["Trials"] += f" in {len(jobs)} tuning jobs"
    strategies = dict.fromkeys(job.strategy for job in jobs)
    facts["Strategy"] = ", ".join(strategies)
    moments = []
    for entry in ranking.entries:
        for text in (entry.trial.started, entry.trial.ended):
            moment = _moment(text)
            if moment:
                moments.append(moment)
    if len(moments) > 1:
        taken = max(moments) - min(moments)
        facts["First start to last end"] = duration(taken.total_seconds())
    return facts


def _jobs(ranking: Ranking) -> list[dict[str, Any]]:
    """Each job with its ranges, hyperparameter by hyperparameter, and its results."""
    rows = []
    for place, job in enumerate(ranking.jobs):
        own = Ranking((job,))
        cells = []
        for name in ranking.columns:
            if name in job.ranges:
                cells.append(("searched", words_of_range(job.ranges[name])))
            else:
                value = str(job.static.get(name, ""))
                cells.append(("static", short(value)))
        rows.append(
            {
                "job": job,
                "place": place % COLOURS,
                "cells": cells,
                "best": own.best,
                "counts": own.counts(),
            }
        )
    return rows


def _rows(ranking: Ranking) -> list[dict[str, Any]]:
    """The trials: those with a value, the best first, then the others."""
    scale = bars([entry.score for entry in ranking.ranked])
    places = {job.name: place % COLOURS for place, job in enumerate(ranking.jobs)}
    rows = []
    entries = [*ranking.ranked, *ranking.unranked]
    for rank, entry in enumerate(entries, start=1):
        value = entry.value
        seconds = _seconds(entry)
        row: dict[str, Any] = {
            "entry": entry,
            "rank": None,
            "place": places[entry.job.name],
            "seconds": seconds,
            "time": "",
            "cut": False,
            "share": 0,
            "cells": [_cell(ranking, entry, name) for name in ranking.columns],
        }
        if seconds is not None:
            row["time"] = duration(seconds)
        if value is not None:
            row["rank"] = rank
            row["cut"] = scale.cut(value)
            row["share"] = scale.share(value)
        rows.append(row)
    return rows


def _cell(ranking: Ranking, entry: Entry, name: str) -> tuple[str, str, bool]:
    """A hyperparameter's text, its key for sorting, and whether the search chose it."""
    text = entry.setting(name)
    key = text
    value = number(text)
    if value is not None:
        key = repr(value)  # the whole number behind a shortened text
    return text, key, ranking.searched(entry, name)


def _seconds(entry: Entry) -> float | None:
    started = _moment(entry.trial.started)
    ended = _moment(entry.trial.ended)
    if started is None or ended is None:
        return None
    return (ended - started).total_seconds()


def _moment(text: str | None) -> datetime | None:
    """None for a text that is missing, or that is not a time with a zone."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if moment.tzinfo is None:  # it does not subtract from one with a zone
        return None
    return moment
