"""The budgets of a tuning job from their YAML."""

from dataclasses import fields

from recipes.errors import RecipeError
from recipes.ranges import Categorical, Range
from recipes.sections import check_names, mapping
from recipes.tuning import Budgets
from recipes.values import number, quoted, whole

# SageMaker's limits: ResourceLimits.MaxRuntimeInSeconds and BestObjectiveNotImproving of its API,
# docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceLimits.html
LEAST_TIME_S = 120
MOST_TIME_S = 15_768_000  # half a year
LEAST_NOT_IMPROVING = 3


def read_budgets(section: object, strategy: str, ranges: tuple[Range, ...]) -> Budgets:
    """The limits of a tuning job; None in the YAML is none. RecipeError for what cannot be."""
    given = mapping(section, "budgets")
    check_names(given, [entry.name for entry in fields(Budgets)], "budgets")
    values = {name: value for name, value in given.items() if value is not None}
    if strategy == "Grid":
        product = _combinations(ranges)
        jobs = values.setdefault("jobs", product)  # SageMaker takes no other number
        if jobs != product:
            raise RecipeError(
                f"Grid runs each of its {product} combinations once; "
                f"budgets.jobs must be {product} or left out, found {quoted(jobs)}"
            )
    if "jobs" not in values:
        raise RecipeError("budgets.jobs, the number of training jobs, is missing")
    time_s = None
    if "time_s" in values:
        time_s = whole(values["time_s"], "budgets.time_s", LEAST_TIME_S, MOST_TIME_S)
    not_improving = None
    if "not_improving" in values:
        limit = values["not_improving"]
        not_improving = whole(limit, "budgets.not_improving", LEAST_NOT_IMPROVING)
    return Budgets(
        jobs=whole(values["jobs"], "budgets.jobs", low=1),
        parallel=whole(values.get("parallel", 1), "budgets.parallel", low=1),
        time_s=time_s,
        target=_target(values),
        not_improving=not_improving,
    )


def _combinations(ranges: tuple[Range, ...]) -> int:
    """How many trainings a grid is."""
    product = 1
    for part in ranges:
        if not isinstance(part, Categorical):
            raise RecipeError(
                f"Grid takes Categorical ranges only; that of {part.name} is {part.kind}"
            )
        product *= len(part.values)
    return product


def _target(values: dict[str, object]) -> float | None:
    if "target" not in values:
        return None
    target = number(values["target"])
    if target is None:
        raise RecipeError(f"budgets.target must be a number; found {quoted(values['target'])}")
    return target
