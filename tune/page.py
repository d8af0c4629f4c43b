"""tuning.html: a search to look at, one file that asks nothing of the network.

All trials of a chain of tuning jobs ordered by objective, history, learning curves, parallel coordinates, importances, the best hyperparameters.
It turns results into numbers, places and words; `tuning.html.j2` beside it holds markup and style.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import artifact.page
from tune.importances import importances
from tune.plots import COLOURS, curves, history, parallel
from tune.ranking import Entry, Ranking, bars, number, short, words_of_range
from tune.results import TuningJob

TEMPLATE = Path(__file__).with_name("tuning.html.j2")
SCRIPT = TEMPLATE.with_name("sort.js")


def write_page(path: Path, jobs: Sequence[TuningJob]) -> None:
    """Write the page on these jobs, parents first, whole or not at all. ValueError without jobs, OSError when writing fails."""
    if not jobs:
        raise ValueError("a page needs one tuning job or more")
    ranking = Ranking(tuple(jobs))
    shares, unknown = importances(ranking)
    artifact.page.write_page(
        path,
        TEMPLATE,
        {"percent": _percent, "short": short},
        SCRIPT.read_text(encoding="utf-8"),
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
    )


def best_hyperparameters(ranking: Ranking) -> str | None:
    """What the best trial ran with, as JSON of texts by name, as a training takes it; None without a best."""
    if ranking.best is None:
        return None
    values = {**ranking.best.job.static, **ranking.best.trial.hyperparameters}
    ordered = sorted(
        values, key=lambda name: name not in ranking.columns
    )  # those that were searched first
    return json.dumps(
        {name: str(values[name]) for name in ordered if not name.startswith("_")},
        indent=2,
        ensure_ascii=False,
    )


def _facts(ranking: Ranking) -> dict[str, str]:
    best, jobs = ranking.best, ranking.jobs
    facts = {
        "Best " + ranking.last.objective: f"{best.value:.6g}" if best else "none",
        "Best trial": best.trial.name if best else "none",
    }
    facts["Trials"] = str(len(ranking.entries)) + (
        f" in {len(jobs)} tuning jobs" if len(jobs) > 1 else ""
    )
    facts["Strategy"] = ", ".join(dict.fromkeys(job.strategy for job in jobs))
    known = [
        _moment(text)
        for entry in ranking.entries
        for text in (entry.trial.started, entry.trial.ended)
    ]
    known = [moment for moment in known if moment]
    if len(known) > 1:
        facts["First start to last end"] = duration((max(known) - min(known)).total_seconds())
    return facts


def _jobs(ranking: Ranking) -> list[dict]:
    """Of each job: what it chose from, hyperparameter by hyperparameter, and what came of it."""
    rows = []
    for place, job in enumerate(ranking.jobs):
        own = Ranking((job,))
        cells = [
            ("searched", words_of_range(job.ranges[name]))
            if name in job.ranges
            else ("static", short(str(job.static.get(name, ""))))
            for name in ranking.columns
        ]
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


def _rows(ranking: Ranking) -> list[dict]:
    """The trials: those with a value, the best first, then the others."""
    scale = bars([entry.value for entry in ranking.told])
    places = {job.name: place % COLOURS for place, job in enumerate(ranking.jobs)}
    return [
        {
            "entry": entry,
            "rank": rank if entry.value is not None else None,
            "place": places[entry.job.name],
            "seconds": _seconds(entry),
            "time": duration(_seconds(entry)) if _seconds(entry) is not None else "",
            "cut": entry.value is not None and scale.cut(entry.value),
            "share": 0 if entry.value is None else scale.share(entry.value),
            "cells": [
                (entry.setting(name), _key(entry.setting(name)), ranking.searched(entry, name))
                for name in ranking.columns
            ],
        }
        for rank, entry in enumerate([*ranking.told, *ranking.untold], start=1)
    ]


def _key(text: str) -> str:
    """What a column is sorted by: the whole number behind a shortened text."""
    value = number(text)
    return text if value is None else repr(value)


def _seconds(entry: Entry) -> float | None:
    started, ended = _moment(entry.trial.started), _moment(entry.trial.ended)
    return (ended - started).total_seconds() if started and ended else None


def _moment(text: str | None) -> datetime | None:
    """None for what is missing, or no time with a zone."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def duration(seconds: float) -> str:
    """Seconds in words, in the two largest units."""
    if seconds >= 86400:
        return f"{int(seconds // 86400)} d {int(seconds % 86400 // 3600)} h"
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return f"{seconds:.3g} s"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
