"""The parts of a search in Optuna's form: its next trial's values, and when a trial stops."""

import math
import statistics
from collections.abc import Sequence

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState

from recipes.ranges import Range
from recipes.tuning import Tuning
from tune.stored_values import distribution, stored_name, to_text

MOST_WORKERS = 101  # that get a sampler of their own for each trial
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
            # Li et al. (2018) recommend 3 or 4. On recorded trainings of ours 2 leaves less regret
            # (bench/search.py): the first epochs rank them too roughly for more.
            reduction_factor=2,
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
