"""What a tuning job may take from its parents: SageMaker's limits, and which of their results are still legal. Pure.

Carried over are configurations and their last values alone, as on SageMaker: no weights, no learning curves.
"""

from recipes.tuning import Tuning
from tune.errors import SearchError
from tune.results import Trial, TuningJob

TERMINAL = ("Completed", "Stopped", "Failed")
MOST_CHANGES = 10


def parents_of(tuning: Tuning, known: dict[str, TuningJob]) -> list[TuningJob]:
    """Its parents' results. known: tuning jobs by name. SearchError for one that is missing, unfinished, or too different."""
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
            f"tuning job {tuning.name}: its parent '{parent.name}' is {parent.status}; a parent must have ended ({', '.join(TERMINAL)})"
        )


def missing_parent(tuning: Tuning, name: str, known: dict[str, TuningJob]) -> SearchError:
    """The error for a parent that there is not."""
    return SearchError(
        f"tuning job {tuning.name}: there is no parent '{name}'; known: {', '.join(known) or 'none'} "
        "(earlier ones of the recipe, and --parents FILE)"
    )


def check_change(tuning: Tuning, parent: TuningJob) -> None:
    """SearchError when SageMaker would not let a tuning job start from this parent. Each parent is counted for itself."""

    def wrong(sentence: str) -> SearchError:
        return SearchError(f"tuning job {tuning.name}: {sentence}")

    if (tuning.objective.metric, tuning.objective.direction) != (
        parent.objective,
        parent.direction,
    ):
        raise wrong(
            f"its objective is {tuning.objective.direction} {tuning.objective.metric}, that of its parent {parent.name} {parent.direction} "
            f"{parent.objective}; the objective must stay the same"
        )
    theirs, ours = (
        parent.ranges.keys() | parent.static.keys(),
        {entry.name for entry in tuning.ranges} | tuning.static.keys(),
    )
    if theirs != ours:
        raise wrong(
            f"static and tuned hyperparameters together must stay those of its parent {parent.name}; "
            f"{', '.join(sorted(ours ^ theirs))} {'are' if len(ours ^ theirs) > 1 else 'is'} in one of the two only"
        )
    for entry in tuning.ranges:
        before = parent.ranges.get(entry.name)
        if before and before["type"] != entry.kind:
            raise wrong(
                f"{entry.name} is {entry.kind}, in its parent {parent.name} {before['type']}; a hyperparameter's type must not change"
            )
    if (changes := sum(changes_of(tuning, parent).values())) > MOST_CHANGES:
        counted = ", ".join(f"{name} {count}" for name, count in changes_of(tuning, parent).items())
        raise wrong(
            f"{changes} changes from its parent {parent.name} ({counted}); at most {MOST_CHANGES} are allowed: turned static, a range counts 1, "
            "or its number of categories; a changed static value counts 2"
        )


def changes_of(tuning: Tuning, parent: TuningJob) -> dict[str, int]:
    """How much each hyperparameter's change counts against SageMaker's limit."""
    counts = {}
    for name, value in tuning.static.items():
        if name in parent.ranges:
            counts[name] = len(parent.ranges[name].get("values", [name]))
        elif parent.static[name] != value:
            counts[name] = 2
    return counts


def legal(tuning: Tuning, parent: TuningJob) -> list[Trial]:
    """The parent's trials that ended with a value, and whose every hyperparameter that this job tunes lies in its range."""
    return [
        trial
        for trial in parent.trials
        if trial.objective is not None
        and trial.status in ("Completed", "Stopped")
        and all(entry.holds(trial.hyperparameters.get(entry.name, "")) for entry in tuning.ranges)
    ]


def overall_best(job: TuningJob, parents: list[TuningJob]) -> tuple[str, Trial] | None:
    """SageMaker's OverallBestTrainingJob, with the name of its tuning job: the best of this one, and of its parents where data and
    algorithm are theirs."""
    jobs = [job, *(parents if job.warm_start == "IdenticalDataAndAlgorithm" else [])]
    bests = [(entry.name, best) for entry in jobs if (best := entry.best())]
    sign = 1 if job.direction == "Maximize" else -1
    return max(bests, key=lambda pair: sign * pair[1].objective, default=None)
