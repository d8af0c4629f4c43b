"""The tuning jobs of a recipe, as frozen dataclasses with SageMaker's names."""

from dataclasses import dataclass, field

from recipes.ranges import Range


@dataclass(frozen=True)
class Objective:
    """The metric that a search follows: the last value of the regex's first group in the output.

    The default reads the lines of epochs alone. The lines about the finished artifact would count
    as one more epoch, and trials that share a process export no artifact.
    """

    metric: str = "validation_accuracy"
    regex: str = r"epoch=.* validation_accuracy=([0-9.]+)"
    direction: str = "Maximize"


@dataclass(frozen=True)
class Budgets:
    """When a tuning job ends: the first limit that is reached.

    jobs: training jobs in all; parallel: at once. time_s: seconds. target: of the objective.
    not_improving: training jobs in a row that gained less than 1 %. None: no such limit.
    """

    jobs: int
    parallel: int = 1
    time_s: int | None = None
    target: float | None = None
    not_improving: int | None = None


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
