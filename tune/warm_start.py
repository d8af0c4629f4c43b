"""What a tuning job may take from its parents: SageMaker's limits, and the results that fit.

As on SageMaker, only configurations and their last values are carried over: no weights, no curves.
"""

import math

from recipes.tuning import Tuning
from tune.errors import SearchError
from tune.results import Trial, TuningJob, sign_of

TERMINAL = ("Completed", "Stopped", "Failed")
# SageMaker's limit: docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html
MOST_CHANGES = 10
CHANGED_STATIC = 2  # what a changed static value counts


def parents_of(tuning: Tuning, known: dict[str, TuningJob]) -> list[TuningJob]:
    """Its parents' results. known: tuning jobs by name.

    SearchError for a parent that is missing, unfinished, or too different.
    """
    found = []
    for name in tuning.parents:
        if name not in known:
            raise missing_parent(tuning, name, known)
        check_change(tuning, known[name])
        check_ended(tuning, known[name])
        found.append(known[name])
    return found


def check_ended(tuning: Tuning, parent: TuningJob) -> None:
    """SearchError for a parent that still runs."""
    if parent.status not in TERMINAL:
        raise SearchError(
            f"tuning job {tuning.name}: its parent '{parent.name}' is {parent.status}; "
            f"a parent must have ended ({', '.join(TERMINAL)})"
        )


def missing_parent(tuning: Tuning, name: str, known: dict[str, TuningJob]) -> SearchError:
    """The error for a parent that does not exist."""
    return SearchError(
        f"tuning job {tuning.name}: the parent '{name}' does not exist; "
        f"known: {', '.join(known) or 'none'} "
        "(earlier ones of the recipe, and --parents FILE)"
    )


def check_change(tuning: Tuning, parent: TuningJob) -> None:
    """SearchError when SageMaker would not let a tuning job start from this parent.

    Each parent counts for itself.
    """
    _check_objective(tuning, parent)
    _check_names(tuning, parent)
    for entry in tuning.ranges:
        before = parent.ranges.get(entry.name)
        if before and before["type"] != entry.kind:
            raise SearchError(
                f"tuning job {tuning.name}: {entry.name} is {entry.kind}, "
                f"in its parent {parent.name} {before['type']}; "
                "a hyperparameter's type must not change"
            )
    counts = changes_of(tuning, parent)
    changes = sum(counts.values())
    if changes > MOST_CHANGES:
        counted = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise SearchError(
            f"tuning job {tuning.name}: {changes} changes from its parent {parent.name} "
            f"({counted}); at most {MOST_CHANGES} are allowed: "
            "turned static, a range counts 1, or its number of categories; "
            f"a changed static value counts {CHANGED_STATIC}"
        )


def _check_objective(tuning: Tuning, parent: TuningJob) -> None:
    ours = tuning.objective
    if (ours.metric, ours.direction) != (parent.objective, parent.direction):
        raise SearchError(
            f"tuning job {tuning.name}: its objective is {ours.direction} {ours.metric}, "
            f"that of its parent {parent.name} {parent.direction} {parent.objective}; "
            "the objective must stay the same"
        )


def _check_names(tuning: Tuning, parent: TuningJob) -> None:
    theirs = parent.ranges.keys() | parent.static.keys()
    ours = {entry.name for entry in tuning.ranges} | tuning.static.keys()
    different = sorted(ours ^ theirs)
    if different:
        verb = "is"
        if len(different) > 1:
            verb = "are"
        raise SearchError(
            f"tuning job {tuning.name}: static and tuned hyperparameters together must stay "
            f"those of its parent {parent.name}; "
            f"{', '.join(different)} {verb} in one of the two only"
        )


def changes_of(tuning: Tuning, parent: TuningJob) -> dict[str, int]:
    """How much each hyperparameter's change counts against SageMaker's limit."""
    counts = {}
    for name, value in tuning.static.items():
        if name in parent.ranges:
            counts[name] = len(parent.ranges[name].get("values", [name]))
        elif parent.static[name] != value:
            counts[name] = CHANGED_STATIC
    return counts


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
