"""What a chain of searches may be: SageMaker's rules for a tuning job's parents.

Every program that starts a search asks `check_chain` before the first training: tune and launch for
their whole chain, local SageMaker for each request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from recipes.errors import RecipeError
from recipes.tuning import Tuning

TERMINAL = ("Completed", "Stopped", "Failed")
# SageMaker's limit: docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html
MOST_CHANGES = 10
CHANGED_STATIC = 2  # what a changed static value counts
IDENTICAL = "IdenticalDataAndAlgorithm"


class EarlierJob(Protocol):
    """A tuning job as its children see it. The fields are those of tune.results.TuningJob."""

    @property
    def name(self) -> str: ...
    @property
    def objective(self) -> str: ...
    @property
    def direction(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def ranges(self) -> dict[str, dict[str, Any]]: ...
    @property
    def static(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class PlannedJob:
    """A tuning job of a recipe as an earlier one."""

    name: str
    objective: str
    direction: str
    status: str
    ranges: dict[str, dict[str, Any]] = field(hash=False)
    static: dict[str, str] = field(hash=False)


def planned(tuning: Tuning, status: str = "Completed") -> PlannedJob:
    """A recipe's tuning job in the form of an earlier one."""
    return PlannedJob(
        name=tuning.name,
        objective=tuning.objective.metric,
        direction=tuning.objective.direction,
        status=status,
        ranges={entry.name: entry.form() for entry in tuning.ranges},
        static=dict(tuning.static),
    )


def check_chain(chain: Sequence[Tuning], earlier: Mapping[str, EarlierJob]) -> None:
    """RecipeError for the first parent that SageMaker would refuse.

    chain: in the order of running. earlier: jobs that ran before, by name; one of the chain's own
    names stands for that job.
    """
    known: dict[str, EarlierJob] = dict(earlier)
    for tuning in chain:
        for name in tuning.parents:
            if name not in known:
                raise missing_parent(tuning, name, known)
            check_change(tuning, known[name])
            if name in earlier:
                check_ended(tuning, known[name])
        known.setdefault(tuning.name, planned(tuning))


def check_same_sources(
    tuning: Tuning, parent: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    """RecipeError where a warm start on identical data and algorithm changes one of both.

    ours, theirs: TrainingJobDefinition of the job and of its parent, as SageMaker has it.
    """
    if tuning.warm_start != IDENTICAL:
        return
    pairs = {
        "image": (_image(ours), _image(theirs)),
        "data": (_data(ours), _data(theirs)),
    }
    for what, (own, other) in pairs.items():
        if own != other:
            raise RecipeError(
                f"tuning job {tuning.name}: its {what} is {own}, that of its parent '{parent}' "
                f"{other}; {IDENTICAL} needs the same, TransferLearning may change it"
            )


def _image(definition: Mapping[str, Any]) -> str:
    return str(definition.get("AlgorithmSpecification", {}).get("TrainingImage", "none"))


def _data(definition: Mapping[str, Any]) -> str:
    """The channels with their addresses, in one line."""
    found = []
    for channel in definition.get("InputDataConfig", []):
        uri = channel["DataSource"].get("S3DataSource", {}).get("S3Uri", "none")
        found.append(f"{channel['ChannelName']}={uri.rstrip('/')}")
    return " ".join(sorted(found)) or "none"


def check_ended(tuning: Tuning, parent: EarlierJob) -> None:
    """RecipeError for a parent that still runs."""
    if parent.status not in TERMINAL:
        raise RecipeError(
            f"tuning job {tuning.name}: its parent '{parent.name}' is {parent.status}; "
            f"a parent must have ended ({', '.join(TERMINAL)})"
        )


def missing_parent(tuning: Tuning, name: str, known: Mapping[str, EarlierJob]) -> RecipeError:
    """The error for a parent that does not exist."""
    return RecipeError(
        f"tuning job {tuning.name}: the parent '{name}' does not exist; "
        f"known: {', '.join(known) or 'none'} "
        "(earlier ones of the recipe, and --parents FILE)"
    )


def check_change(tuning: Tuning, parent: EarlierJob) -> None:
    """RecipeError when SageMaker would not let a tuning job start from this parent.

    Each parent counts for itself.
    """
    _check_objective(tuning, parent)
    _check_names(tuning, parent)
    for entry in tuning.ranges:
        before = parent.ranges.get(entry.name)
        if before and before["type"] != entry.kind:
            raise RecipeError(
                f"tuning job {tuning.name}: {entry.name} is {entry.kind}, "
                f"in its parent {parent.name} {before['type']}; "
                "a hyperparameter's type must not change"
            )
    counts = changes_of(tuning, parent)
    changes = sum(counts.values())
    if changes > MOST_CHANGES:
        counted = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise RecipeError(
            f"tuning job {tuning.name}: {changes} changes from its parent {parent.name} "
            f"({counted}); at most {MOST_CHANGES} are allowed: "
            "turned static, a range counts 1, or its number of categories; "
            f"a changed static value counts {CHANGED_STATIC}"
        )


def _check_objective(tuning: Tuning, parent: EarlierJob) -> None:
    ours = tuning.objective
    if (ours.metric, ours.direction) != (parent.objective, parent.direction):
        raise RecipeError(
            f"tuning job {tuning.name}: its objective is {ours.direction} {ours.metric}, "
            f"that of its parent {parent.name} {parent.direction} {parent.objective}; "
            "the objective must stay the same"
        )


def _check_names(tuning: Tuning, parent: EarlierJob) -> None:
    theirs = parent.ranges.keys() | parent.static.keys()
    ours = {entry.name for entry in tuning.ranges} | tuning.static.keys()
    different = sorted(ours ^ theirs)
    if different:
        verb = "is"
        if len(different) > 1:
            verb = "are"
        raise RecipeError(
            f"tuning job {tuning.name}: static and tuned hyperparameters together must stay "
            f"those of its parent {parent.name}; "
            f"{', '.join(different)} {verb} in one of the two only"
        )


def changes_of(tuning: Tuning, parent: EarlierJob) -> dict[str, int]:
    """How much each hyperparameter's change counts against SageMaker's limit."""
    counts = {}
    for name, value in tuning.static.items():
        if name in parent.ranges:
            counts[name] = len(parent.ranges[name].get("values", [name]))
        elif parent.static[name] != value:
            counts[name] = CHANGED_STATIC
    return counts
