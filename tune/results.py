"""What a tuning job tried and what came of it: the one form that the tuner writes and that table, CSV and page read.

A tuning job of this machine and one of SageMaker look alike here.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from artifact.model import write_atomically
from recipes.tuning import Tuning

FORMAT_VERSION = 1
STATUSES = ("InProgress", "Completed", "Stopped", "Failed")
DIRECTIONS = ("Maximize", "Minimize")


class ResultsError(ValueError):
    """A file of results is not what this reader knows."""


@dataclass(frozen=True)
class Trial:
    """One training job of a search.

    hyperparameters: all it ran with, as texts; tuned: names of those that the search chose. objective: the last value that its
    output told; None without any. curve: all values, in order. reason: why it failed or was stopped, else empty. started, ended:
    ISO 8601 with zone, None while that is to come.
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

    objective: name of the metric; direction: one of DIRECTIONS. ranges: for each tuned hyperparameter {"type": "Continuous" |
    "Integer", "min", "max", "scale"} or {"type": "Categorical", "values"}. static: the others, as texts. parents: names of the tuning jobs
    that it starts from; warm_start: empty, IdenticalDataAndAlgorithm or TransferLearning.
    """

    name: str
    objective: str
    direction: str
    strategy: str
    status: str
    ranges: dict[str, dict]
    static: dict[str, str]
    trials: tuple[Trial, ...] = ()
    parents: tuple[str, ...] = ()
    warm_start: str = ""

    def ordered(self) -> list[Trial]:
        """The trials that told an objective, the best first."""
        told = [trial for trial in self.trials if trial.objective is not None]
        return sorted(told, key=lambda trial: trial.objective, reverse=self.direction == "Maximize")

    def best(self) -> Trial | None:
        """The best of those that ended, by their last value: a stopped one counts, as on SageMaker."""
        return next(
            (trial for trial in self.ordered() if trial.status in ("Completed", "Stopped")), None
        )


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
    document = {"format_version": FORMAT_VERSION, "tuning_jobs": [asdict(job) for job in jobs]}
    write_atomically(Path(path), json.dumps(document, indent=1).encode() + b"\n")


def read_results(path: Path) -> tuple[TuningJob, ...]:
    """The tuning jobs in a file, in its order. ResultsError for another form or version, OSError when it cannot be read."""
    try:
        document = json.loads(Path(path).read_bytes())
        version = document.get("format_version") if isinstance(document, dict) else None
        if version != FORMAT_VERSION:
            raise ResultsError(
                f"'{path}' has format_version {version!r}; this reader knows {FORMAT_VERSION}"
            )
        return tuple(_job(entry) for entry in document["tuning_jobs"])
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ResultsError(f"'{path}' is not a file of tuning results ({error!r})") from error


def _job(entry: dict) -> TuningJob:
    trials = tuple(_trial(trial) for trial in entry["trials"])
    known = {field.name for field in fields(TuningJob)}
    if unknown := entry.keys() - known:
        raise TypeError(f"unknown fields {', '.join(sorted(unknown))}")
    job = TuningJob(**{**entry, "trials": trials, "parents": tuple(entry["parents"])})
    if (
        job.direction not in DIRECTIONS
        or not all(isinstance(search, dict) for search in job.ranges.values())
        or not isinstance(job.static, dict)
    ):
        raise TypeError(
            f"tuning job {job.name!r} has a direction, ranges or static hyperparameters of another kind"
        )
    return job


def _trial(entry: dict) -> Trial:
    trial = Trial(**{**entry, "tuned": tuple(entry["tuned"]), "curve": tuple(entry["curve"])})
    told = [*trial.curve, *([] if trial.objective is None else [trial.objective])]
    if (
        trial.status not in STATUSES
        or not isinstance(trial.hyperparameters, dict)
        or not all(isinstance(value, int | float) for value in told)
    ):
        raise TypeError(
            f"trial {trial.name!r} has a status, hyperparameters or values of another kind"
        )
    return trial
