"""A tuning job as an Optuna study: its next trial's values, and when a running trial stops."""

import itertools
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from recipes.ranges import Categorical, Continuous, Integer, Range
from recipes.tuning import Tuning
from tune.errors import SearchError
from tune.results import Trial, job_of

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution
STORAGE_VERSION = 1
MOST_WORKERS = 101  # that get a sampler of their own for each trial
READY_S = 30.0  # in which another machine fills a study that it has made
# User attributes of a study
READY = "slipway_ready"
SEARCH = "slipway_search"
IMPORTED = "slipway_imported"
PARENT = "parent"  # user attribute of a trial that was carried over


class MedianRule(optuna.pruners.BasePruner):
    """SageMaker's early stopping: see worse_than_median.

    Optuna's own MedianPruner compares a trial's best value so far instead.
    """

    def __init__(self, maximize: bool) -> None:
        self.maximize = maximize

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether a running trial is to stop; Optuna's name."""
        before = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        own = [curve_of(other) for other in before if PARENT not in other.user_attrs]
        return worse_than_median(curve_of(trial), own, self.maximize)


def worse_than_median(
    curve: Sequence[float], before: Sequence[Sequence[float]], maximize: bool
) -> bool:
    """Whether a training's current value is worse than the median of those that ended before.

    Each of those counts with the mean of its values up to the same epoch, or of all its values
    where it ended earlier. Without any before, nothing is worse.
    """
    others = [other for other in before if other]
    if not others or not curve:
        return False
    means = [statistics.fmean(other[: len(curve)]) for other in others]
    median = statistics.median(means)
    # A mean of equal values may differ from them in its last digit.
    if math.isclose(curve[-1], median, rel_tol=1e-9):
        return False
    if maximize:
        return curve[-1] < median
    return curve[-1] > median


def curve_of(trial: optuna.trial.FrozenTrial) -> tuple[float, ...]:
    """A trial's values in order."""
    return tuple(trial.intermediate_values[step] for step in sorted(trial.intermediate_values))


def make_study(
    storage: BaseStorage,
    tuning: Tuning,
    imported: Sequence[tuple[str, Trial]],
    first: Mapping[str, str] | None = None,
) -> optuna.Study:
    """The tuning job's study, made and filled, or found again as it was left.

    imported: the parents' names and legal trials. first: the values that the first trial takes.
    SearchError when a study of this name is of another search.
    """
    direction = StudyDirection[tuning.objective.direction.upper()]
    try:
        study = optuna.create_study(storage=storage, study_name=tuning.name, direction=direction)
    except optuna.exceptions.DuplicatedStudyError:
        return _found_again(storage, tuning, imported, first)
    study.set_user_attr(SEARCH, _identity(tuning))
    study.set_user_attr(IMPORTED, len(imported))
    study.add_trials([_carried(tuning, parent, trial) for parent, trial in imported])
    if tuning.strategy == "Grid":
        for params in sorted(combinations(tuning), key=lambda params: params != first):
            study.enqueue_trial(params)
    elif first:
        study.enqueue_trial(
            {stored_name(entry): to_stored(entry, first[entry.name]) for entry in tuning.ranges}
        )
    study.set_user_attr(READY, STORAGE_VERSION)
    return study


def _found_again(
    storage: BaseStorage,
    tuning: Tuning,
    imported: Sequence[tuple[str, Trial]],
    first: Mapping[str, str] | None,
) -> optuna.Study:
    deadline = time.monotonic()
    if isinstance(storage, RDBStorage):  # another machine may be filling it just now
        deadline += READY_S
    study = load_study(storage, tuning)
    while study is None:
        if time.monotonic() > deadline:
            # Its maker was killed before the study was filled, so no trial of it can have begun.
            optuna.delete_study(study_name=tuning.name, storage=storage)
            return make_study(storage, tuning, imported, first)
        time.sleep(0.2)
        study = load_study(storage, tuning)
    return study


def load_study(storage: BaseStorage, tuning: Tuning) -> optuna.Study | None:
    """The tuning job's study once it is filled, else None.

    SearchError when it is of another search or version.
    """
    try:
        study = optuna.load_study(study_name=tuning.name, storage=storage)
    except KeyError:
        return None
    attributes = study.user_attrs
    if READY not in attributes:
        return None
    if attributes[READY] != STORAGE_VERSION:
        raise SearchError(
            f"the storage's tuning job {tuning.name} is of version {attributes[READY]!r}, "
            f"this is {STORAGE_VERSION}; name another --out or --storage"
        )
    theirs = attributes.get(SEARCH, {})
    ours = _identity(tuning)
    if theirs != ours:
        other = sorted(name for name in ours if theirs.get(name) != ours[name])
        raise SearchError(
            f"the storage's tuning job {tuning.name} is of another search: "
            f"its {' and '.join(other)} differ; name another --out or --storage"
        )
    return study


def _identity(tuning: Tuning) -> dict[str, object]:
    """The parts that must stay when a search goes on; budgets may change."""
    form = job_of(tuning)
    parts = {
        "objective": [form.objective, tuning.objective.regex, form.direction],
        "strategy": form.strategy,
        "ranges": form.ranges,
        "static hyperparameters": form.static,
        "parents": [form.parents, form.warm_start],
        "seed": tuning.seed,
    }
    # As a storage gives it back: tuples become lists.
    read_back: dict[str, object] = json.loads(json.dumps(parts))
    return read_back


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
    grid = [entry for entry in tuning.ranges if isinstance(entry, Categorical)]
    names = [entry.name for entry in grid]
    for values in itertools.product(*(entry.values for entry in grid)):
        yield dict(zip(names, values, strict=True))


def steer(study: optuna.Study, tuning: Tuning, worker: int) -> None:
    """Give the study the sampler of its next trial and the pruner of running ones."""
    study.pruner = make_pruner(tuning)
    trials = len(study.get_trials(deepcopy=False))
    study.sampler = make_sampler(tuning, trials * MOST_WORKERS + worker)


def make_sampler(tuning: Tuning, number: int) -> optuna.samplers.BaseSampler:
    """A new sampler for a trial; its seed follows from the search's and the number.

    So no two trials draw the same values.
    """
    # A prime above any number here: searches of neighbouring seeds share no draw. Below numpy's
    # bound.
    seed = (tuning.seed * 1_000_003 + number) % 2**32
    if tuning.strategy in ("Random", "Grid"):
        return optuna.samplers.RandomSampler(seed)
    # A third of the trials at random, but at least 3 and at most TPE's own 10
    startup = min(10, max(3, tuning.budgets.jobs // 3))
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)


def make_pruner(tuning: Tuning) -> optuna.pruners.BasePruner:
    """The rule that stops running trials, by the strategy and early_stopping."""
    if tuning.resource:  # Hyperband alone has one
        low, high = tuning.resource
        return optuna.pruners.HyperbandPruner(
            min_resource=low,
            max_resource=high,
            reduction_factor=3,  # Li et al. (2018) recommend 3 or 4
        )
    if tuning.early_stopping == "Auto":
        return MedianRule(tuning.objective.direction == "Maximize")
    return optuna.pruners.NopPruner()


def choose(trial: optuna.Trial, tuning: Tuning) -> dict[str, str]:
    """The trial's tuned hyperparameters, as the texts that a training job gets."""
    if tuning.strategy == "Random":
        # The same draw, however many workers share the search
        trial.study.sampler = make_sampler(tuning, trial.number)
    return {entry.name: to_text(entry, _suggest(trial, entry)) for entry in tuning.ranges}


def _suggest(trial: optuna.Trial, entry: Range) -> float | int | str:
    name = stored_name(entry)
    ends = distribution(entry)
    if isinstance(ends, IntDistribution):
        return trial.suggest_int(name, ends.low, ends.high, log=ends.log)
    if isinstance(ends, FloatDistribution):
        return trial.suggest_float(name, ends.low, ends.high, log=ends.log)
    return str(trial.suggest_categorical(name, ends.choices))


def stored_name(entry: Range) -> str:
    """A hyperparameter's name in the study.

    One that is searched in reverse is kept, and named, as its distance from 1.
    """
    if _reversed(entry):
        return f"1-{entry.name}"
    return entry.name


def distribution(entry: Range) -> Distribution:
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
    if not _reversed(entry):
        return float(text)
    # 1 - x of the ends is rounded: within the distribution, or Optuna refuses the value.
    return min(max(1 - float(text), 1 - entry.high), 1 - entry.low)


def to_text(entry: Range, value: float | int | str) -> str:
    """A value of the study, as a hyperparameter's text."""
    if isinstance(entry, Categorical | Integer):
        return str(value)
    number = float(value)
    if _reversed(entry):
        number = min(max(1 - number, entry.low), entry.high)
    return repr(number)


def _reversed(entry: Range) -> bool:
    return isinstance(entry, Continuous) and entry.scale == "ReverseLogarithmic"
