"""What a tuning job takes from its parents: the results that fit.

As on SageMaker, only configurations and one value of each are carried over: no weights, no curves.
Here it is the best value of the curve.
"""

import math

from recipes.tuning import Tuning
from recipes.warm_start import check_change, check_ended, missing_parent
from tune.results import Trial, TuningJob, sign_of


def parents_of(tuning: Tuning, known: dict[str, TuningJob]) -> list[TuningJob]:
    """Its parents' results. known: tuning jobs by name.

    RecipeError for a parent that is missing, unfinished, or too different.
    """
    found = []
    for name in tuning.parents:
        if name not in known:
            raise missing_parent(tuning, name, known)
        check_change(tuning, known[name])
        check_ended(tuning, known[name])
        found.append(known[name])
    return found


def legal(tuning: Tuning, parent: TuningJob) -> list[Trial]:
    """The parent's trials that ended with a value and lie within all ranges of this job."""
    return [trial for trial in parent.trials if _is_legal(tuning, trial)]


def _is_legal(tuning: Tuning, trial: Trial) -> bool:
    if trial.objective is None or trial.status not in ("Completed", "Stopped"):
        return False
    given = trial.hyperparameters
    return all(entry.holds(given.get(entry.name, "")) for entry in tuning.ranges)


def overall_best(job: TuningJob, parents: list[TuningJob]) -> tuple[str, Trial] | None:
    """SageMaker's OverallBestTrainingJob, with the name of its tuning job.

    It is the best of this job, and of its parents where data and algorithm are theirs.
    """
    jobs = [job]
    if job.warm_start == "IdenticalDataAndAlgorithm":
        jobs += parents
    sign = sign_of(job.direction)
    found: tuple[str, Trial] | None = None
    highest = -math.inf
    for entry in jobs:
        best = entry.best()
        if best is None or best.objective is None:
            continue
        if sign * best.objective > highest:
            found = (entry.name, best)
            highest = sign * best.objective
    return found
