"""A search as CSV: one row a trial in the order of their start, one column a hyperparameter, for a spreadsheet or pandas."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from artifact.model import write_atomically
from tune.ranking import Ranking
from tune.results import TuningJob

FIRST = ("job", "trial", "rank", "status", "objective", "value")
LAST = ("values", "started", "ended", "reason")


def write_csv(path: Path, jobs: Sequence[TuningJob]) -> None:
    """Replace the file in one step, making the folders it needs. OSError when it cannot be written.

    Columns: FIRST, every hyperparameter of any trial (those that were searched first), LAST. rank is 1 for the best and empty without a value; values
    is how many the trial told. A hyperparameter named like one of them is written as 'hyperparameter NAME'.
    """
    ranking = Ranking(tuple(jobs)) if jobs else None
    entries = ranking.entries if ranking else ()
    names = tuple(
        dict.fromkeys(
            [
                *(ranking.columns if ranking else ()),
                *(name for job in jobs for name in job.static),
                *(name for entry in entries for name in entry.trial.hyperparameters),
            ]
        )
    )
    ranks = (
        {entry.number: rank for rank, entry in enumerate(ranking.told, start=1)} if ranking else {}
    )
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *FIRST,
            *(f"hyperparameter {name}" if name in FIRST + LAST else name for name in names),
            *LAST,
        ]
    )
    for entry in entries:
        job, trial = entry.job, entry.trial
        value = "" if trial.objective is None else repr(trial.objective)
        writer.writerow(
            [
                job.name,
                trial.name,
                ranks.get(entry.number, ""),
                trial.status,
                job.objective,
                value,
                *(entry.setting(name) for name in names),
                len(trial.curve),
                trial.started or "",
                trial.ended or "",
                trial.reason,
            ]
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.getvalue().encode("utf-8", "replace"))
