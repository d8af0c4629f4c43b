"""Which trials count, who owns them, and when a tuning job is over, without any training."""

import math
from datetime import UTC, datetime, timedelta

import optuna
import psutil
import pytest
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from recipes.tuning import Budgets, Tuning
from tests.support.tuning import settings_tuning
from tune.study import make_study
from tune.trial_states import (
    _alive,
    _is_orphan,
    _without_gain,
    all_ended,
    claim,
    counted,
    ended_early,
    form,
    give_up,
    open_mark,
    process_here,
    verdict,
)


def study_of(tuning: Tuning) -> optuna.Study:
    return make_study(optuna.storages.InMemoryStorage(), tuning, ())


def valued(*values: float, direction: str = "Maximize") -> list[FrozenTrial]:
    """Trials that ended with these values, one after the other."""
    study = optuna.create_study(direction=StudyDirection[direction.upper()])
    for value in values:
        study.tell(study.ask(), value)
    return study.trials


@pytest.mark.parametrize(
    "state, attributes, counts",
    [
        (TrialState.RUNNING, {}, True),
        (TrialState.COMPLETE, {}, True),
        (TrialState.PRUNED, {}, True),
        (TrialState.FAIL, {"reason": "x"}, True),
        (TrialState.FAIL, {}, False),  # a dying process left it
        (TrialState.WAITING, {}, False),
        (TrialState.COMPLETE, {"parent": "x"}, False),
        (TrialState.FAIL, {"void": True, "reason": "x"}, False),
        (TrialState.RUNNING, {"void": True}, False),
    ],
)
def test_which_trials_count(state, attributes, counts):
    study = optuna.create_study()
    value = None
    if state == TrialState.COMPLETE:
        value = 0.5
    study.add_trial(create_trial(state=state, value=value, user_attrs=attributes))
    assert len(counted(study)) == int(counts)


@pytest.mark.parametrize(
    "budgets, elapsed_s, sentence",
    [
        (Budgets(9, time_s=120), 119.9, None),
        (Budgets(9, time_s=120), 120.0, "its 120 s are over"),
        (Budgets(9, target=0.3), 0.0, "its target 0.3 is reached"),
        (Budgets(9, target=0.31), 0.0, None),
        (Budgets(9, target=0.0), 0.0, "its target 0 is reached"),
        (Budgets(3), 0.0, "its 3 training jobs have begun"),
        (Budgets(2), 0.0, "its 2 training jobs have begun"),
        (Budgets(4), 9e9, None),
    ],
)
def test_the_verdict_on_three_trials(budgets, elapsed_s, sentence):
    trials = valued(0.1, 0.2, 0.3)
    assert verdict(trials, settings_tuning(budgets, "Maximize"), elapsed_s) == sentence


def test_a_target_of_a_search_that_minimizes_is_reached_from_above():
    trials = valued(0.3, 0.2, direction="Minimize")
    for target, reached in ((0.2, True), (0.19, False)):
        tuning = settings_tuning(Budgets(9, target=target), "Minimize")
        assert (ended_early(trials, tuning) is not None) == reached
    assert ended_early([], settings_tuning(Budgets(9, target=0.0), "Minimize")) is None


@pytest.mark.parametrize(
    "values, since",
    [
        ([], 0),
        ([0.5], 0),
        ([0.5, 0.505], 0),  # better by 1 % exactly
        ([0.5, 0.5049], 1),
        ([0.5, 0.5], 1),
        ([0.5, 0.4, 0.3], 2),
        ([0.0, 0.0], 1),
        ([0.0, 1e-9], 0),
        ([-1.0, -0.99], 0),
        ([-1.0, -0.995], 1),
        ([0.5, 0.502, 0.504, 0.506], 0),
    ],
)
def test_trials_without_a_gain_are_counted(values, since):
    assert _without_gain(values) == since


def test_values_are_in_the_order_of_their_ends():
    late, early, failed = valued(0.5, 0.6, 0.7)
    late.datetime_complete = datetime(2026, 1, 2)
    early.datetime_complete = datetime(2026, 1, 1)
    failed.state = TrialState.FAIL
    failed.datetime_complete = datetime(2026, 1, 3)
    tuning = settings_tuning(Budgets(9, not_improving=1), "Maximize")
    sentence = "1 training jobs in a row did not better its best by 1 %"
    assert ended_early([late, early, failed], tuning) == sentence


def test_all_ended():
    trials = valued(0.5)
    assert all_ended([])
    assert all_ended(trials)
    running = optuna.create_study()
    running.ask()
    assert not all_ended([*trials, *running.trials])


def test_numbers_are_claimed_up_to_the_budget():
    tuning = settings_tuning(Budgets(2), "Maximize")
    study = study_of(tuning)
    claimed = [claim(study.ask(), tuning) for _ in range(3)]
    assert claimed == [True, True, False]
    names = [trial.user_attrs.get("name") for trial in study.trials]
    assert names == ["job-001", "job-002", None]
    assert study.trials[0].user_attrs["owner"] == list(process_here())
    assert study.trials[2].user_attrs == {"void": True}
    assert study.trials[2].state == TrialState.FAIL
    assert len(counted(study)) == 2


def test_names_go_on_after_what_was_carried_over():
    tuning = settings_tuning(Budgets(9), "Maximize")
    study = study_of(tuning)
    study.add_trial(create_trial(value=0.5, user_attrs={"parent": "earlier"}))
    study.set_user_attr("slipway_imported", 1)
    trial = study.ask()
    assert claim(trial, tuning)
    assert trial.user_attrs["name"] == "job-001"


def test_this_process_is_alive_and_others_are_judged_by_number_and_start():
    host, pid, started = process_here()
    assert _alive((host, pid, started))
    assert _alive((host, pid, started + 1.9))
    assert not _alive((host, pid, started - 2.1))
    assert not _alive((host, 2**22 + 1, started))  # above Linux's largest process number
    assert _alive(("another/1", 2**22 + 1, started))
    assert host.endswith(f"/{psutil.boot_time():.0f}")
    assert open_mark(pid) == f"slipway_open/{host}/{pid}/{started:.2f}"


def test_a_trial_without_an_owner_is_an_orphan_in_time():
    (trial,) = valued(0.5)
    trial.datetime_start = datetime.now() - timedelta(seconds=10)
    assert not _is_orphan(trial, 60.0)
    assert _is_orphan(trial, 5.0)
    trial.datetime_start = None
    assert _is_orphan(trial, 60.0)


@pytest.mark.parametrize("blame, lost", [(True, 1), (False, 0)])
def test_a_trial_that_is_given_up_is_queued_again(blame, lost):
    tuning = settings_tuning(Budgets(9), "Maximize")
    study = study_of(tuning)
    trial = study.ask()
    assert claim(trial, tuning)
    trial.suggest_float("lr", 0.1, 1)
    assert give_up(study, study.trials[0], blame)
    assert [each.state.name for each in study.trials] == ["FAIL", "WAITING"]
    queued = study.trials[1]
    assert queued.system_attrs["fixed_params"] == study.trials[0].params
    assert queued.user_attrs == {"lost": lost, "name": "job-001"}
    assert not give_up(study, study.trials[0])  # another process was quicker


def test_a_trial_with_a_reason_or_without_values_is_not_queued():
    for attributes in ({"reason": "it failed"}, {}):
        study = study_of(settings_tuning(Budgets(9), "Maximize"))
        trial = study.ask()
        for name, value in attributes.items():
            trial.set_user_attr(name, value)
        assert give_up(study, study.trials[0])
        assert [each.state.name for each in study.trials] == ["FAIL"]
        assert study.trials[0].user_attrs == attributes


@pytest.mark.parametrize(
    "lost, reason",
    [
        (1, None),
        (2, "its process was killed 3 times as it ran, most likely for lack of memory"),
    ],
)
def test_the_third_loss_is_a_failure(lost, reason):
    study = study_of(settings_tuning(Budgets(9), "Maximize"))
    trial = study.ask()
    trial.set_user_attr("lost", lost)
    give_up(study, study.trials[0])
    found = study.trials[0].user_attrs.get("reason")
    assert found == reason


def test_the_form_of_trials():
    tuning = settings_tuning(Budgets(9), "Maximize")
    study = study_of(tuning)
    moments = [datetime(2026, 1, 1, 12, 0, 0, 250_000), datetime(2026, 1, 1, 11), None]
    states = [TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING]
    for number, (moment, state) in enumerate(zip(moments, states, strict=True)):
        trial = create_trial(
            state=state,
            value=0.7 if state == TrialState.COMPLETE else None,
            intermediate_values={2: 0.7, 1: 0.6},
            user_attrs={"name": f"t{number}", "hyperparameters": {"lr": "1"}, "reason": "r"},
        )
        trial.datetime_start = moment
        trial.datetime_complete = moment
        study._storage.create_new_trial(study._study_id, template_trial=trial)
    study.add_trial(create_trial(value=0.5))  # without texts: it has not begun
    first, second, third = form(study, tuning, "InProgress").trials
    assert [each.name for each in (first, second, third)] == ["t1", "t0", "t2"]
    assert [each.status for each in (first, second, third)] == ["Failed", "Completed", "InProgress"]
    assert [each.objective for each in (first, second, third)] == [None, 0.7, 0.7]
    assert second.curve == (0.6, 0.7)
    assert second.tuned == ("lr",)
    assert second.reason == "r"
    first_start = datetime(2026, 1, 1, 12, 0, 0, 250_000).astimezone()
    assert second.started == first_start.isoformat(timespec="milliseconds")
    assert second.started is not None
    assert third.ended is None
    assert datetime.fromisoformat(second.started).astimezone(UTC).microsecond == 250_000
    assert not math.isnan(second.objective or math.nan)
