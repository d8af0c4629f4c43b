"""A recipe's YAML: one project's settings and the chain of its tuning jobs, checked as SageMaker would check them.

Pure: no torch, no Optuna, nothing of train; whether a hyperparameter exists is the training's to say.
"""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

import yaml

from recipes.ranges import Range, SearchError, check_name, number, read_range, text_of
from tune.results import TuningJob

STRATEGIES = ("Bayesian", "Random", "Grid", "Hyperband")
WARM_STARTS = ("IdenticalDataAndAlgorithm", "TransferLearning")
NAME = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}"
MOST_TUNED, MOST_STATIC, MOST_PARENTS = 30, 100, 5
EPOCH_NAMES = (
    "epochs",
    "numepochs",
    "n-epochs",
    "n_epochs",
    "num_epochs",
)  # where SageMaker's Hyperband finds its resource
TIME_S = (120, 15_768_000)
JOB_KEYS = (
    "name",
    "objective",
    "strategy",
    "early_stopping",
    "budgets",
    "parents",
    "warm_start",
    "ranges",
    "hyperparameters",
    "seed",
    "hyperband",
)


@dataclass(frozen=True)
class Objective:
    """What a search follows: the last value that the regex's first group finds in a training's output.

    Ours reads the lines of epochs alone: what is measured of the artifact at the end would count as one epoch more, and trials that
    share a process export none.
    """

    metric: str = "validation_accuracy"
    regex: str = r"epoch=.* validation_accuracy=([0-9.]+)"
    direction: str = "Maximize"


@dataclass(frozen=True)
class Budgets:
    """When a tuning job ends: after so many training jobs, seconds, at a target, or when so many in a row gained less than 1 %."""

    jobs: int
    parallel: int = 1
    time_s: int | None = None
    target: float | None = None
    not_improving: int | None = None


@dataclass(frozen=True)
class Tuning:
    """One tuning job. ranges: what it searches; static: all other hyperparameters, as texts; resource: Hyperband's least and most epochs."""

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

    def form(self, status: str, trials: tuple = ()) -> TuningJob:
        """As table and page read it."""
        return TuningJob(
            self.name,
            self.objective.metric,
            self.objective.direction,
            self.strategy,
            status,
            {entry.name: entry.form() for entry in self.ranges},
            dict(self.static),
            tuple(trials),
            self.parents,
            self.warm_start,
        )


@dataclass(frozen=True)
class Recipe:
    """All that one project sets. prepare: options of `python -m prepare`; hyperparameters: as texts."""

    name: str
    prepare: dict = field(hash=False)
    hyperparameters: dict[str, str] = field(hash=False)
    tuning: tuple[Tuning, ...] = ()


def load_recipe(path: Path) -> dict:
    """The YAML as it stands. SearchError when it is not a recipe's, OSError when it cannot be read."""
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SearchError(f"'{path}' is not YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(document, dict):
        raise SearchError(
            f"'{path}' is not a recipe; expected name, prepare, hyperparameters and tuning"
        )
    return document


def read_recipe(document: dict, changed: dict[str, str] | None = None) -> Recipe:
    """A recipe from its YAML. changed: static hyperparameters that take other values, in every tuning job. SearchError for what is wrong."""
    _known("the recipe", document, ("name", "prepare", "hyperparameters", "tuning", "sagemaker"))
    hyperparameters = _static("the recipe", document.get("hyperparameters")) | (changed or {})
    chain = document.get("tuning") or []
    if not isinstance(chain, list) or not all(isinstance(entry, dict) for entry in chain):
        raise SearchError("the recipe's tuning must be a list of tuning jobs")
    tuning = tuple(_tuning(entry, hyperparameters, changed or {}) for entry in chain)
    names = [entry.name for entry in tuning]
    if twice := [name for name in names if names.count(name) > 1]:
        raise SearchError(f"two tuning jobs are named '{twice[0]}'; give each a name of its own")
    prepare = document.get("prepare") or {}
    return Recipe(
        str(document.get("name") or "recipe"),
        _mapping("the recipe's prepare", prepare),
        hyperparameters,
        tuning,
    )


def _tuning(entry: dict, shared: dict[str, str], changed: dict[str, str]) -> Tuning:
    name = entry.get("name")
    if not isinstance(name, str) or len(name) > 32 or not re.fullmatch(NAME, name):
        raise SearchError(
            f"a tuning job's name has 1 to 32 letters, digits and inner hyphens; found '{name}'"
        )
    try:
        _known("it", entry, JOB_KEYS)
        return _checked(name, entry, shared, changed)
    except SearchError as error:
        raise SearchError(f"tuning job {name}: {error}") from error


def _checked(name: str, entry: dict, shared: dict[str, str], changed: dict[str, str]) -> Tuning:
    ranges = tuple(
        read_range(key, value)
        for key, value in _mapping("ranges", entry.get("ranges") or {}).items()
    )
    if not 1 <= len(ranges) <= MOST_TUNED:
        raise SearchError(
            f"a tuning job searches 1 to {MOST_TUNED} hyperparameters; found {len(ranges)}"
        )
    tuned, own = {part.name for part in ranges}, _static("it", entry.get("hyperparameters"))
    for names, where in ((own, "its hyperparameters"), (changed, "--set")):
        if both := sorted(tuned & names.keys()):
            raise SearchError(f"{both[0]} is tuned by a range and also set by {where}; keep one")
    static = {key: value for key, value in {**shared, **own, **changed}.items() if key not in tuned}
    if len(static) > MOST_STATIC:
        raise SearchError(
            f"a tuning job has at most {MOST_STATIC} static hyperparameters; found {len(static)}"
        )
    strategy = _word("strategy", entry.get("strategy", "Bayesian"), STRATEGIES)
    early = entry.get("early_stopping", "Off")
    early = _word(
        "early_stopping", "Off" if early is False else early, ("Off", "Auto")
    )  # YAML reads Off as false
    if strategy == "Hyperband" and early == "Auto":
        raise SearchError("Hyperband stops trainings by itself: early_stopping must be Off")
    parents, warm_start = _parents(name, entry)
    budgets = _budgets(entry.get("budgets") or {}, strategy, ranges)
    return Tuning(
        name,
        _objective(entry.get("objective") or {}),
        budgets,
        ranges,
        static,
        strategy,
        early,
        parents,
        warm_start,
        _whole("seed", entry.get("seed", 0), 0),
        _resource(entry.get("hyperband"), strategy, static),
    )


def _objective(entry: object) -> Objective:
    _known("objective", _mapping("objective", entry), ("metric", "regex", "direction"))
    found = Objective(**{key: str(value) for key, value in entry.items()})
    direction = _word("direction", found.direction, ("Maximize", "Minimize"))
    if not 1 <= len(found.metric) <= 255:
        raise SearchError(
            f"the objective metric's name has 1 to 255 characters; found {len(found.metric)}"
        )
    if "metric" in entry and "regex" not in entry:
        found = Objective(
            found.metric, rf"epoch=.* {re.escape(found.metric)}=([0-9.eE+-]+)", found.direction
        )
    try:
        groups = re.compile(found.regex).groups
    except re.error as error:
        raise SearchError(f"the objective's regex '{found.regex}' is not one ({error})") from error
    if not groups or len(found.regex) > 500:
        raise SearchError(
            f"the objective's regex needs a group in parentheses for the value and at most 500 characters; found '{found.regex[:80]}'"
        )
    return Objective(found.metric, found.regex, direction)


def _budgets(entry: object, strategy: str, ranges: tuple[Range, ...]) -> Budgets:
    _known("budgets", _mapping("budgets", entry), tuple(part.name for part in fields(Budgets)))
    values = {key: value for key, value in entry.items() if value is not None}
    if strategy == "Grid":
        if numeric := [part.name for part in ranges if part.kind != "Categorical"]:
            raise SearchError(f"Grid takes Categorical ranges only; {numeric[0]} is none")
        product = 1
        for part in ranges:
            product *= len(part.values)
        if values.setdefault("jobs", product) != product:
            raise SearchError(
                f"Grid runs each of its {product} combinations once; budgets.jobs must be {product} or left out, "
                f"found {values['jobs']}"
            )
    if "jobs" not in values:
        raise SearchError("budgets.jobs, the number of training jobs, is missing")
    target = number(values["target"]) if "target" in values else None
    if "target" in values and target is None:
        raise SearchError(f"budgets.target must be a number; found {values['target']!r}")
    return Budgets(
        _whole("budgets.jobs", values["jobs"], 1),
        _whole("budgets.parallel", values.get("parallel", 1), 1),
        _whole("budgets.time_s", values["time_s"], *TIME_S) if "time_s" in values else None,
        target,
        _whole("budgets.not_improving", values["not_improving"], 3)
        if "not_improving" in values
        else None,
    )


def _parents(name: str, entry: dict) -> tuple[tuple[str, ...], str]:
    parents, warm_start = entry.get("parents") or [], entry.get("warm_start") or ""
    if not isinstance(parents, list) or not all(isinstance(parent, str) for parent in parents):
        raise SearchError(f"parents must be a list of names; found {parents!r}")
    if len(parents) > MOST_PARENTS:
        raise SearchError(f"a warm start has at most {MOST_PARENTS} parents; found {len(parents)}")
    if name in parents or len(set(parents)) < len(parents):
        raise SearchError(
            f"its parents must be other tuning jobs, each named once; found {', '.join(parents)}"
        )
    if bool(parents) != bool(warm_start):
        raise SearchError("parents and warm_start go together: name both or neither")
    return tuple(parents), _word(
        "warm_start", warm_start.replace("_", "").replace("-", ""), WARM_STARTS
    ) if warm_start else ""


def _resource(entry: object, strategy: str, static: dict[str, str]) -> tuple[int, int] | None:
    if strategy != "Hyperband":
        if entry:
            raise SearchError(f"hyperband is for the strategy Hyperband; this one is {strategy}")
        return None
    entry = _mapping("hyperband", entry or {})
    _known("hyperband", entry, ("min_resource", "max_resource"))
    epochs = next((static[name] for name in EPOCH_NAMES if name in static), None)
    if (most := entry.get("max_resource", epochs)) is None:
        raise SearchError(
            "Hyperband needs hyperband.max_resource, or static epochs to take it from"
        )
    low, high = (
        _whole("hyperband.min_resource", entry.get("min_resource", 1), 1),
        _whole("hyperband.max_resource", most, 1, 20_000),
    )
    if low >= high:
        raise SearchError(
            f"hyperband.min_resource must be below max_resource; found {low} and {high}"
        )
    return low, high


def _static(where: str, entry: object) -> dict[str, str]:
    return {
        check_name(name): text_of(name, value)
        for name, value in _mapping(f"{where}'s hyperparameters", entry or {}).items()
    }


def _mapping(what: str, entry: object) -> dict:
    if not isinstance(entry, dict):
        raise SearchError(f"{what} must be names and values; found {entry!r}")
    return entry


def _known(what: str, entry: dict, known: tuple[str, ...]) -> None:
    if unknown := [str(key) for key in entry if key not in known]:
        raise SearchError(f"{what} has '{unknown[0]}', which is unknown; known: {', '.join(known)}")


def _word(what: str, found: object, known: tuple[str, ...]) -> str:
    for word in known:
        if str(found).lower() == word.lower():
            return word
    raise SearchError(f"{what} must be one of {', '.join(known)}; found '{found}'")


def _whole(what: str, found: object, low: int, high: int | None = None) -> int:
    value = number(found)
    if value is None or value != int(value) or value < low or high is not None and value > high:
        raise SearchError(
            f"{what} must be a whole number {f'of at least {low}' if high is None else f'from {low} to {high}'}; found {found!r}"
        )
    return int(value)
