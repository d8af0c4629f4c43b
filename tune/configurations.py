"""The configurations of a search that has only so many, and which of them are still untried."""

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import replace

import optuna
from optuna.trial import TrialState

from recipes.ranges import Categorical, Integer, Range
from recipes.tuning import Tuning
from tune.search import choose
from tune.stored_values import stored_params
from tune.trial_states import NAME, QUEUED, counted, void

MOST_LISTED = 10_000  # configurations; of more, the same is hardly drawn twice
Params = dict[str, float | int | str]


def configuration_count(tuning: Tuning) -> float:
    """How many configurations the ranges hold; infinite with a Continuous one."""
    count: float = 1
    for entry in tuning.ranges:
        if isinstance(entry, Categorical):
            count *= len(entry.values)
        elif isinstance(entry, Integer):
            count *= entry.high - entry.low + 1
        else:
            return math.inf
    return count


def configurations(tuning: Tuning) -> Iterator[dict[str, str]]:
    """Every configuration of a search that has only so many, as texts."""
    names = [entry.name for entry in tuning.ranges]
    for values in itertools.product(*(_texts(entry) for entry in tuning.ranges)):
        yield dict(zip(names, values, strict=True))


def _texts(entry: Range) -> list[str]:
    if isinstance(entry, Categorical):
        return list(entry.values)
    assert isinstance(entry, Integer)  # a Continuous range has no list
    return [str(value) for value in range(entry.low, entry.high + 1)]


def without_repetition(tuning: Tuning) -> Tuning:
    """The tuning job with as many training jobs as it has configurations, at most."""
    count = configuration_count(tuning)
    if count >= tuning.budgets.jobs:
        return tuning
    return replace(tuning, budgets=replace(tuning.budgets, jobs=int(count)))


def give_another_if_repeated(trial: optuna.Trial, tuning: Tuning) -> bool:
    """Whether a trial drew what another one has tried; an untried configuration is then queued
    in its place.

    Always False where so many configurations are left out of account, and where none is untried.
    To be called by one process at a time.
    """
    if configuration_count(tuning) > MOST_LISTED:
        return False
    study = trial.study
    choose(trial, tuning)
    tried = [other.params for other in counted(study) if other.number != trial.number]
    if trial.params not in tried:
        return False
    untried = _untried(study, tuning, tried)
    if not untried:
        return False
    # By the trial's number: the same search draws the same.
    chosen = random.Random(f"{tuning.seed}/{trial.number}").choice(untried)
    void(trial)  # first: where this process ends here, one more is drawn
    study.enqueue_trial(chosen, user_attrs={NAME: trial.user_attrs[NAME]})
    return True


def _untried(study: optuna.Study, tuning: Tuning, tried: list[Params]) -> list[Params]:
    """The configurations that no trial has, and that wait for none."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    taken = [*tried, *(other.system_attrs.get(QUEUED, {}) for other in waiting)]
    found = []
    for texts in configurations(tuning):
        params = stored_params(tuning, texts)
        if params not in taken:
            found.append(params)
    return found
