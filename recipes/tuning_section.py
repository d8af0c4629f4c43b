"""A recipe's section `tuning`: its YAML as tuning jobs, checked as SageMaker would check them.

It does not know which hyperparameters exist: recipes.own_training does.
"""

import re
from collections.abc import Mapping

from recipes.budgets import read_budgets
from recipes.errors import RecipeError
from recipes.ranges import Range, check_length, check_name, one_of, read_range
from recipes.sections import check_names, fill, mapping
from recipes.tuning import Objective, Tuning
from recipes.values import quoted, text_of, whole

STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")
WARM_STARTS = ("IdenticalDataAndAlgorithm", "TransferLearning")
NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}"
NAME_LENGTH = 32
# SageMaker's limits of one tuning job: HyperParameterTuningJobConfig of its API, and
# docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
MOST_TUNED = 30
MOST_STATIC = 100
MOST_PARENTS = 5
METRIC_LENGTH = 255
REGEX_LENGTH = 500
MOST_EPOCHS = 20_000  # of Hyperband
# The hyperparameters in which SageMaker's Hyperband finds its resource
EPOCH_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
JOB_KEYS = {
    "name": "name of the tuning job",
    "objective": "the metric that the search follows",
    "strategy": "how values are chosen; `Bayesian` where not given",
    "early_stopping": "`Auto` stops trainings by SageMaker's median rule; `Off` where not given",
    "budgets": "when the tuning job ends",
    "parents": "names of earlier tuning jobs to start from",
    "warm_start": "the kind of start from the parents; goes with `parents`",
    "ranges": "the hyperparameters that are searched, each with its range",
    "hyperparameters": "static hyperparameters of this tuning job; they replace the recipe's",
    "seed": "seed of the search; 0 where not given",
    "hyperband": "epochs of the strategy Hyperband",
}
HYPERBAND_KEYS = {
    "min_resource": "least epochs of a training; 1 where not given",
    "max_resource": "most epochs of a training; the static `epochs` where not given",
}


def read_tuning(
    section: object, shared: Mapping[str, str], changed: Mapping[str, str]
) -> tuple[Tuning, ...]:
    """The tuning jobs in their order. RecipeError for the first thing that is wrong.

    shared: the recipe's hyperparameters. changed: static hyperparameters that take other values,
    in every tuning job.
    """
    if section is None:
        return ()
    if not isinstance(section, list) or not all(isinstance(entry, dict) for entry in section):
        raise RecipeError(
            f"tuning must be a list of tuning jobs, each `- name: …`; found {quoted(section)}"
        )
    jobs = tuple(_named_job(entry, shared, changed) for entry in section)
    seen: set[str] = set()
    for job in jobs:
        if job.name in seen:
            raise RecipeError(
                f"two tuning jobs are named '{job.name}'; give each a name of its own"
            )
        seen.add(job.name)
    return jobs


def read_hyperparameters(section: object, where: str) -> dict[str, str]:
    """A section `hyperparameters` as names and texts. RecipeError where SageMaker takes neither."""
    values = {}
    for name, value in mapping(section, where).items():
        check_name(name)
        text = text_of(value, f"hyperparameter {name}")
        values[name] = check_length(name, text)
    return values


def _named_job(
    entry: dict[str, object], shared: Mapping[str, str], changed: Mapping[str, str]
) -> Tuning:
    """One tuning job; its errors begin with its name."""
    name = entry.get("name")
    too_long = isinstance(name, str) and len(name) > NAME_LENGTH
    if not isinstance(name, str) or too_long or not re.fullmatch(NAME, name):
        raise RecipeError(
            f"a tuning job's name has 1 to {NAME_LENGTH} letters, digits and inner hyphens; "
            f"found {quoted(name)}"
        )
    try:
        return _job(name, entry, shared, changed)
    except RecipeError as error:
        raise RecipeError(f"tuning job {name}: {error}") from error


def _job(
    name: str, entry: dict[str, object], shared: Mapping[str, str], changed: Mapping[str, str]
) -> Tuning:
    check_names(entry, JOB_KEYS, "tuning")
    ranges = _ranges(entry)
    static = _static(entry, ranges, shared, changed)
    strategy = one_of("strategy", entry.get("strategy", "Bayesian"), STRATEGIES)
    return Tuning(
        name=name,
        objective=_objective(entry.get("objective")),
        budgets=read_budgets(entry.get("budgets"), strategy, ranges),
        ranges=ranges,
        static=static,
        strategy=strategy,
        early_stopping=_early_stopping(entry, strategy),
        parents=_parents(name, entry),
        warm_start=_warm_start(entry),
        seed=whole(entry.get("seed", 0), "seed", low=0),
        resource=_resource(entry.get("hyperband"), strategy, static),
    )


def _ranges(entry: dict[str, object]) -> tuple[Range, ...]:
    section = mapping(entry.get("ranges"), "ranges")
    ranges = tuple(read_range(name, value) for name, value in section.items())
    if not 1 <= len(ranges) <= MOST_TUNED:
        raise RecipeError(
            f"a tuning job searches 1 to {MOST_TUNED} hyperparameters; found {len(ranges)}"
        )
    return ranges


def _static(
    entry: dict[str, object],
    ranges: tuple[Range, ...],
    shared: Mapping[str, str],
    changed: Mapping[str, str],
) -> dict[str, str]:
    """The hyperparameters that are not searched: --set's, else the tuning job's, else shared."""
    tuned = {part.name for part in ranges}
    own = read_hyperparameters(entry.get("hyperparameters"), "hyperparameters")
    for names, where in ((own, "its hyperparameters"), (changed, "--set")):
        both = sorted(tuned & names.keys())
        if both:
            raise RecipeError(f"{both[0]} is tuned by a range and also set by {where}; keep one")
    merged = {**shared, **own, **changed}
    static = {name: text for name, text in merged.items() if name not in tuned}
    if len(static) > MOST_STATIC:
        raise RecipeError(
            f"a tuning job has at most {MOST_STATIC} static hyperparameters; found {len(static)}"
        )
    return static


def _early_stopping(entry: dict[str, object], strategy: str) -> str:
    given = entry.get("early_stopping", "Off")
    if given is False:  # YAML reads Off as false
        given = "Off"
    early = one_of("early_stopping", given, ("Off", "Auto"))
    if strategy == "Hyperband" and early == "Auto":
        raise RecipeError("Hyperband stops trainings by itself: early_stopping must be Off")
    return early


def _objective(section: object) -> Objective:
    given = mapping(section, "objective")
    found = fill(Objective, given, "objective")
    direction = one_of("direction", found.direction, ("Maximize", "Minimize"))
    if not 1 <= len(found.metric) <= METRIC_LENGTH:
        raise RecipeError(
            f"the objective metric's name has 1 to {METRIC_LENGTH} characters; "
            f"found {len(found.metric)}"
        )
    regex = found.regex
    if "metric" in given and "regex" not in given:
        regex = rf"epoch=.* {re.escape(found.metric)}=([0-9.eE+-]+)"
    try:
        groups = re.compile(regex).groups
    except re.error as error:
        raise RecipeError(
            f"the objective's regex '{regex}' is not a regular expression ({error})"
        ) from error
    if not groups or len(regex) > REGEX_LENGTH:
        raise RecipeError(
            "the objective's regex needs a group in parentheses for the value and at most "
            f"{REGEX_LENGTH} characters; found {quoted(regex)}"
        )
    return Objective(found.metric, regex, direction)


def _parents(name: str, entry: dict[str, object]) -> tuple[str, ...]:
    parents = entry.get("parents") or []
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise RecipeError(f"parents must be a list of names; found {quoted(parents)}")
    if len(parents) > MOST_PARENTS:
        raise RecipeError(f"a warm start has at most {MOST_PARENTS} parents; found {len(parents)}")
    if name in parents or len(set(parents)) < len(parents):
        raise RecipeError(
            f"its parents must be other tuning jobs, each named once; found {', '.join(parents)}"
        )
    if bool(parents) != bool(entry.get("warm_start")):
        raise RecipeError("parents and warm_start go together: name both or neither")
    return tuple(parents)


def _warm_start(entry: dict[str, object]) -> str:
    given = str(entry.get("warm_start") or "").replace("_", "").replace("-", "")
    return one_of("warm_start", given, WARM_STARTS) if given else ""


def _resource(section: object, strategy: str, static: Mapping[str, str]) -> tuple[int, int] | None:
    """Hyperband's least and most epochs."""
    if strategy != "Hyperband":
        if section:
            raise RecipeError(f"hyperband is for the strategy Hyperband; this one is {strategy}")
        return None
    given = mapping(section, "hyperband")
    check_names(given, HYPERBAND_KEYS, "hyperband")
    epochs = next((static[name] for name in EPOCH_NAMES if name in static), None)
    most = given.get("max_resource", epochs)
    if most is None:
        raise RecipeError(
            "Hyperband needs hyperband.max_resource, or static epochs to take it from"
        )
    low = whole(given.get("min_resource", 1), "hyperband.min_resource", low=1)
    high = whole(most, "hyperband.max_resource", low=1, high=MOST_EPOCHS)
    if low >= high:
        raise RecipeError(
            f"hyperband.min_resource must be below max_resource; found {low} and {high}"
        )
    return low, high
