"""The tuning jobs of a recipe, as frozen dataclasses with SageMaker's names."""

from dataclasses import dataclass, field
from typing import Any

from recipes.ranges import Range


def _option(default: object, sets: str) -> Any:
    # Any, as dataclasses.field has it: the field gets its own type in the class.
    return field(default=default, metadata={"sets": sets})


@dataclass(frozen=True)
class Objective:
    """The metric that a search follows: the regex's first group in the output.

    A trial counts with its best value, as a training keeps the weights of its best epoch. SageMaker
    itself takes the last one.

    The default reads the lines of epochs alone. The lines about the finished artifact would count
    as one more epoch, and trials that share a process export no artifact.
    """

    metric: str = _option("validation_accuracy", "name of the metric")
    regex: str = _option(
        r"epoch=.* validation_accuracy=([0-9.]+)",
        "regular expression for the lines that a training prints. Its first group is the value. "
        "The best value of a training counts here, the last one on SageMaker",
    )
    direction: str = _option("Maximize", "`Maximize` or `Minimize`")


@dataclass(frozen=True)
class Budgets:
    """When a tuning job ends: the first limit that is reached. None: no such limit."""

    jobs: int = field(metadata={"sets": "training jobs in all"})
    parallel: int = _option(1, "training jobs at the same time")
    time_s: int | None = _option(None, "seconds after which the tuning job ends")
    target: float | None = _option(None, "value of the objective at which the tuning job ends")
    not_improving: int | None = _option(
        None, "training jobs in a row, each with a gain below 1 %, after which it ends"
    )


@dataclass(frozen=True)
class Tuning:
    """One tuning job.

    ranges: the hyperparameters that it searches; static: all others, as texts. warm_start: empty
    without parents. resource: Hyperband's least and most epochs; None for other strategies.
    """

    name: str
    objective: Objective
    budgets: Budgets
    ranges: tuple[Range, ...]
    static: dict[str, str] = field(hash=False)
    strategy: str = "Bayesian"
    early_stopping: str = "Off"
    parents: tuple[str, ...] = ()
    warm_start: str = ""
    seed: int = 0
    resource: tuple[int, int] | None = None
