"""A tuning job as an Optuna study: where it is kept, what its next trial tries, and when a running one is stopped."""

import itertools
import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from recipes.ranges import Categorical, Integer, Range
from recipes.tuning import Tuning
from tune.errors import SearchError
from tune.results import Trial, job_of

STORAGE_VERSION = 1
READY_S = 30.0  # in which another machine fills a study that it has made
READY, SEARCH, IMPORTED = (
    "slipway_ready",
    "slipway_search",
    "slipway_imported",
)  # user attributes of a study
PARENT = "parent"  # user attribute of a trial that was carried over


class MedianRule(optuna.pruners.BasePruner):
    """SageMaker's early stopping: see worse_than_median. Optuna's MedianPruner asks for a trial's best value so far instead."""

    def __init__(self, maximize: bool):
        self.maximize = maximize

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        before = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return worse_than_median(
            curve_of(trial),
            [curve_of(other) for other in before if PARENT not in other.user_attrs],
            self.maximize,
        )


def worse_than_median(
    curve: Sequence[float], before: Sequence[Sequence[float]], maximize: bool
) -> bool:
    """Whether a training's current value is worse than the median, over the trainings that ended before, of the means of their values
    up to the same epoch. One that ended earlier counts with all its values; without any before, nothing is worse."""
    means = [statistics.fmean(other[: len(curve)]) for other in before if other]
    if not means or not curve:
        return False
    median = statistics.median(means)
    if math.isclose(
        curve[-1], median, rel_tol=1e-9
    ):  # a mean of equal values may differ from them in its last digit
        return False
    return curve[-1] < median if maximize else curve[-1] > median


def curve_of(trial: optuna.trial.FrozenTrial) -> tuple[float, ...]:
    """A trial's values in order."""
    return tuple(trial.intermediate_values[step] for step in sorted(trial.intermediate_values))


def make_study(
    storage: BaseStorage, tuning: Tuning, imported: Sequence[tuple[str, Trial]]
) -> optuna.Study:
    """The tuning job's study, made and filled, or found again as it was left. imported: the parents' names and legal trials.

    SearchError when the study that is there is of another search.
    """
    try:
        study = optuna.create_study(
            storage=storage, study_name=tuning.name, direction=tuning.objective.direction.lower()
        )
    except optuna.exceptions.DuplicatedStudyError:
        return _found_again(storage, tuning, imported)
    study.set_user_attr(SEARCH, _identity(tuning))
    study.set_user_attr(IMPORTED, len(imported))
    study.add_trials([_carried(tuning, parent, trial) for parent, trial in imported])
    for params in combinations(tuning) if tuning.strategy == "Grid" else ():
        study.enqueue_trial(params)
    study.set_user_attr(READY, STORAGE_VERSION)
    return study


def _found_again(
    storage: BaseStorage, tuning: Tuning, imported: Sequence[tuple[str, Trial]]
) -> optuna.Study:
    deadline = time.monotonic() + (READY_S if isinstance(storage, RDBStorage) else 0)
    while (study := load_study(storage, tuning)) is None:
        if (
            time.monotonic() > deadline
        ):  # whoever made it was killed as it filled it; no trial of it can have begun
            optuna.delete_study(study_name=tuning.name, storage=storage)
            return make_study(storage, tuning, imported)
        time.sleep(0.2)
    return study


def load_study(storage: BaseStorage, tuning: Tuning) -> optuna.Study | None:
    """The tuning job's study once it is filled, else None. SearchError when it is of another search or version."""
    try:
        study = optuna.load_study(study_name=tuning.name, storage=storage)
    except KeyError:
        return None
    attributes = study.user_attrs
    if READY not in attributes:
        return None
    if attributes[READY] != STORAGE_VERSION:
        raise SearchError(
            f"the storage's tuning job {tuning.name} is of version {attributes[READY]!r}, this is {STORAGE_VERSION}; "
            "name another --out or --storage"
        )
    theirs, ours = attributes.get(SEARCH), _identity(tuning)
    if theirs != ours:
        other = sorted(
            name for name in ours if not isinstance(theirs, dict) or theirs.get(name) != ours[name]
        )
        raise SearchError(
            f"the storage's tuning job {tuning.name} is of another search: its {' and '.join(other)} differ; name another --out or --storage"
        )
    return study


def _identity(tuning: Tuning) -> dict:
    """What must stay when a search goes on; budgets may change."""
    form = job_of(tuning)
    return json.loads(
        json.dumps(
            {
                "objective": [form.objective, tuning.objective.regex, form.direction],
                "strategy": form.strategy,
                "ranges": form.ranges,
                "static hyperparameters": form.static,
                "parents": [form.parents, form.warm_start],
                "seed": tuning.seed,
            }
        )
    )


def _carried(tuning: Tuning, parent: str, trial: Trial) -> optuna.trial.FrozenTrial:
    """A parent's trial as one that was done here; its curve stays behind."""
    params = {
        stored_name(entry): to_stored(entry, trial.hyperparameters[entry.name])
        for entry in tuning.ranges
    }
    return optuna.trial.create_trial(
        params=params,
        distributions={stored_name(entry): distribution(entry) for entry in tuning.ranges},
        value=trial.objective,
        user_attrs={PARENT: parent},
    )


def combinations(tuning: Tuning) -> Iterator[dict[str, str]]:
    """Every combination of a grid."""
    for values in itertools.product(*(entry.values for entry in tuning.ranges)):
        yield {entry.name: value for entry, value in zip(tuning.ranges, values)}


def steer(study: optuna.Study, tuning: Tuning, worker: int) -> None:
    """Give the study what chooses its next trial and stops running ones."""
    study.pruner = make_pruner(tuning)
    study.sampler = make_sampler(tuning, len(study.get_trials(deepcopy=False)) * 101 + worker)


def make_sampler(tuning: Tuning, number: int) -> optuna.samplers.BaseSampler:
    """A new sampler for a trial: its seed follows from the search's and the number, so that no two draw the same."""
    seed = (tuning.seed * 1_000_003 + number) % 2**32
    if tuning.strategy in ("Random", "Grid"):
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=min(10, max(3, tuning.budgets.jobs // 3))
    )


def make_pruner(tuning: Tuning) -> optuna.pruners.BasePruner:
    """What stops running trials, by the strategy and early_stopping."""
    if tuning.strategy == "Hyperband":
        low, high = tuning.resource
        return optuna.pruners.HyperbandPruner(
            min_resource=low, max_resource=high, reduction_factor=3
        )
    return (
        MedianRule(tuning.objective.direction == "Maximize")
        if tuning.early_stopping == "Auto"
        else optuna.pruners.NopPruner()
    )


def choose(trial: optuna.Trial, tuning: Tuning) -> dict[str, str]:
    """The trial's tuned hyperparameters, as the texts that a training job gets."""
    if tuning.strategy == "Random":
        trial.study.sampler = make_sampler(
            tuning, trial.number
        )  # the same draw, however many workers share the search
    return {entry.name: to_text(entry, _suggest(trial, entry)) for entry in tuning.ranges}


def _suggest(trial: optuna.Trial, entry: Range) -> float | int | str:
    name, ends = stored_name(entry), distribution(entry)
    if isinstance(ends, CategoricalDistribution):
        return trial.suggest_categorical(name, ends.choices)
    return (trial.suggest_int if isinstance(ends, IntDistribution) else trial.suggest_float)(
        name, ends.low, ends.high, log=ends.log
    )


def stored_name(entry: Range) -> str:
    """A hyperparameter's name in the study; what is searched in reverse is kept, and named, as its distance from 1."""
    return f"1-{entry.name}" if _reversed(entry) else entry.name


def distribution(entry: Range) -> BaseDistribution:
    """Optuna's form of a range."""
    if isinstance(entry, Categorical):
        return CategoricalDistribution(entry.values)
    if isinstance(entry, Integer):
        return IntDistribution(entry.low, entry.high, log=entry.logarithmic())
    if _reversed(entry):
        return FloatDistribution(1 - entry.high, 1 - entry.low, log=True)
    return FloatDistribution(entry.low, entry.high, log=entry.logarithmic())


def to_stored(entry: Range, text: str) -> float | int | str:
    """A hyperparameter's text as the study keeps it."""
    if isinstance(entry, Categorical):
        return text
    if isinstance(entry, Integer):
        return int(float(text))
    return (
        min(max(1 - float(text), 1 - entry.high), 1 - entry.low)
        if _reversed(entry)
        else float(text)
    )


def to_text(entry: Range, value: float | int | str) -> str:
    """What the study keeps, as a hyperparameter's text."""
    if isinstance(entry, (Categorical, Integer)):
        return str(value)
    return repr(min(max(1 - value, entry.low), entry.high) if _reversed(entry) else float(value))


def _reversed(entry: Range) -> bool:
    return entry.kind == "Continuous" and entry.scale == "ReverseLogarithmic"
