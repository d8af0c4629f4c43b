"""What a tuning job tried and how it went: written by the tuner, read by table, CSV and page.

A tuning job of this machine and one of SageMaker have the same form here.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from artifact.model import write_atomically
from artifact.text.json_text import read_json
from recipes.tuning import Tuning

FORMAT_VERSION = 1
STATUSES = ("InProgress", "Completed", "Stopped", "Failed")
DIRECTIONS = ("Maximize", "Minimize")
# What json and other readers raise for a file of another form.
BAD_FORM = (AttributeError, KeyError, TypeError, ValueError)


class ResultsError(ValueError):
    """A file of results has a form that this reader does not know."""


@dataclass(frozen=True)
class Trial:
    """One training job of a search.

    hyperparameters: all that it ran with, as texts; tuned: names of those that the search chose.
    objective: the best value of its curve, as a training keeps the weights of its best epoch; None
    without any. curve: all values in its output, in order.
    reason: why it failed or was stopped, else empty. started, ended: ISO 8601 with zone, None
    while that is to come.
    """

    name: str
    status: str
    hyperparameters: dict[str, str]
    tuned: tuple[str, ...]
    objective: float | None = None
    curve: tuple[float, ...] = ()
    reason: str = ""
    started: str | None = None
    ended: str | None = None


@dataclass(frozen=True)
class TuningJob:
    """A search: what it could choose from, and its trials in the order of their start.

    objective: name of the metric; direction: one of DIRECTIONS. ranges: for each tuned
    hyperparameter {"type": "Continuous" or "Integer", "min", "max", "scale"} or
    {"type": "Categorical", "values"}. static: the others, as texts. parents: names of the tuning
    jobs that it starts from; warm_start: empty, IdenticalDataAndAlgorithm or TransferLearning.
    spent_s: seconds that count for a limit of time, 0 without one.
    """

    name: str
    objective: str
    direction: str
    strategy: str
    status: str
    ranges: dict[str, dict[str, Any]]  # as JSON has them
    static: dict[str, str]
    trials: tuple[Trial, ...] = ()
    parents: tuple[str, ...] = ()
    warm_start: str = ""
    spent_s: float = 0.0

    def ordered(self) -> list[Trial]:
        """The trials that have an objective, the best first."""
        valued = [trial for trial in self.trials if trial.objective is not None]
        return sorted(valued, key=_objective, reverse=self.direction == "Maximize")

    def best(self) -> Trial | None:
        """The best of those that ended; as on SageMaker, stopped ones count."""
        for trial in self.ordered():
            if trial.status in ("Completed", "Stopped"):
                return trial
        return None


def sign_of(direction: str) -> int:
    """The factor that makes higher values the better ones."""
    if direction == "Maximize":
        return 1
    return -1


def best_value(curve: Sequence[float], direction: str) -> float | None:
    """The best finite value of a curve; None without any."""
    sign = sign_of(direction)
    finite = [value for value in curve if math.isfinite(value)]
    return max(finite, key=lambda value: sign * value, default=None)


def job_of(tuning: Tuning, status: str = "", trials: tuple[Trial, ...] = ()) -> TuningJob:
    """A recipe's tuning job in the form of results."""
    return TuningJob(
        name=tuning.name,
        objective=tuning.objective.metric,
        direction=tuning.objective.direction,
        strategy=tuning.strategy,
        status=status,
        ranges={entry.name: entry.form() for entry in tuning.ranges},
        static=dict(tuning.static),
        trials=trials,
        parents=tuning.parents,
        warm_start=tuning.warm_start,
    )


def write_results(path: Path, jobs: tuple[TuningJob, ...]) -> None:
    """Replace the file in one step. OSError when the folder cannot take it."""
    entries = [asdict(job) for job in jobs]
    document = {"format_version": FORMAT_VERSION, "tuning_jobs": entries}
    text = json.dumps(document, indent=1) + "\n"
    write_atomically(Path(path), text.encode())


def read_results(path: Path) -> tuple[TuningJob, ...]:
    """The tuning jobs in a file, in its order.

    ResultsError for another form or version, OSError when it cannot be read.
    """
    try:
        document = read_json(Path(path).read_bytes())
        version = document.get("format_version")
        if version != FORMAT_VERSION:
            raise ResultsError(
                f"'{path}' has format_version {version!r}; this reader knows {FORMAT_VERSION}"
            )
        return tuple(_job(entry) for entry in document["tuning_jobs"])
    except ResultsError:
        raise
    except BAD_FORM as error:
        raise ResultsError(f"'{path}' is not a file of tuning results ({error!r})") from error


def _objective(trial: Trial) -> float:
    assert trial.objective is not None  # ordered() asks only for those that have one
    return trial.objective


def _job(entry: dict[str, Any]) -> TuningJob:
    trials = tuple(_trial(trial) for trial in entry["trials"])
    known = {field.name for field in fields(TuningJob)}
    unknown = entry.keys() - known
    if unknown:
        raise TypeError(f"unknown fields {', '.join(sorted(unknown))}")
    parents = tuple(entry["parents"])
    job = TuningJob(**{**entry, "trials": trials, "parents": parents})
    ranges_fit = all(isinstance(search, dict) for search in job.ranges.values())
    parts_fit = isinstance(job.static, dict) and isinstance(job.spent_s, int | float)
    if job.direction not in DIRECTIONS or not ranges_fit or not parts_fit:
        raise TypeError(
            f"tuning job {job.name!r} has a direction, ranges or static hyperparameters "
            "of another kind"
        )
    return job


def _trial(entry: dict[str, Any]) -> Trial:
    lists = {"tuned": tuple(entry["tuned"]), "curve": tuple(entry["curve"])}
    trial = Trial(**{**entry, **lists})
    values: list[object] = [*trial.curve]
    if trial.objective is not None:
        values.append(trial.objective)
    numbers = all(isinstance(value, int | float) for value in values)
    texts = isinstance(trial.hyperparameters, dict)
    if trial.status not in STATUSES or not texts or not numbers:
        raise TypeError(
            f"trial {trial.name!r} has a status, hyperparameters or values of another kind"
        )
    return trial
