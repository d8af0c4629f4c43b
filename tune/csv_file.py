"""A search as CSV for a spreadsheet or pandas.

Names are written as artifact/text/people_csv.py does; the file of results holds them as they are.
One row per trial in the order of their start, one column per hyperparameter.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from artifact.model import write_atomically
from artifact.text import people_csv
from tune.ranking import Entry, Ranking
from tune.results import TuningJob

FIRST = ("job", "trial", "rank", "status", "objective", "value")
LAST = ("values", "started", "ended", "reason")


def write_csv(path: Path, jobs: Sequence[TuningJob]) -> None:
    """Replace the file in one step, making the folders it needs. OSError when that fails.

    Columns: FIRST, every hyperparameter of any trial (those that were searched first), LAST.
    rank is 1 for the best and empty without a value; values is the number of the objective's
    values. A hyperparameter named like one of these columns is written as 'hyperparameter NAME'.
    """
    rows: list[list[object]] = [[*FIRST, *LAST]]
    if jobs:
        rows = list(_table(Ranking(tuple(jobs))))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, people_csv.table(rows).encode("utf-8", "replace"))


def _table(ranking: Ranking) -> Iterator[list[object]]:
    """The heads of the columns, then a row per trial."""
    names = _hyperparameters(ranking)
    yield [*FIRST, *map(_head, names), *LAST]
    numbered = enumerate(ranking.ranked, start=1)
    ranks = {entry.number: rank for rank, entry in numbered}
    for entry in ranking.entries:
        yield _row(entry, ranks.get(entry.number), names)


def _head(name: str) -> str:
    if name in FIRST + LAST:
        return f"hyperparameter {name}"
    return name


def _hyperparameters(ranking: Ranking) -> list[str]:
    """The names of all hyperparameters, each once."""
    names = list(ranking.columns)
    for job in ranking.jobs:
        names += job.static
    for entry in ranking.entries:
        names += entry.trial.hyperparameters
    return list(dict.fromkeys(names))


def _row(entry: Entry, rank: int | None, names: list[str]) -> list[object]:
    # The writer leaves the cell of None empty, and writes a float with all its digits.
    trial = entry.trial
    return [
        entry.job.name,
        trial.name,
        rank,
        trial.status,
        entry.job.objective,
        trial.objective,
        *(entry.setting(name) for name in names),
        len(trial.curve),
        trial.started,
        trial.ended,
        trial.reason,
    ]
