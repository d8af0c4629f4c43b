"""When trials and tuning jobs end early, on small real trainings."""

import dataclasses
import re
import socket

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from recipes.tuning import Budgets
from tests.support.tuning import LOSS, search_here, settings, settings_tuning
from tune.clock import SPENT
from tune.search import steer, worse_than_median
from tune.storage import open_storage
from tune.study import make_study
from tune.trial_states import ENDED, claim, verdict
from tune.tuner import Tuner
from tune.worker import Worker


@pytest.mark.training
def test_the_median_rule_stops_a_running_trial(tmp_path, data):
    grid = {
        "strategy": "Grid",
        "budgets": {},
        "ranges": {"lr": ["0.01", "1e-9"]},
        "early_stopping": "Auto",
    }
    asked = settings(tmp_path, data, grid, epochs=12)
    worker, tuning = Worker(asked, 0), asked.recipe().tuning[0]
    study = make_study(worker.storage, tuning, ())
    good = {step: 0.9 + step / 1000 for step in range(1, 13)}
    study.add_trial(
        create_trial(
            params={"lr": "0.01"},
            distributions={"lr": optuna.distributions.CategoricalDistribution(("0.01", "1e-9"))},
            value=0.91,
            intermediate_values=good,
            user_attrs={"name": "before", "hyperparameters": {}},
        )
    )
    job = search_here(
        dataclasses.replace(asked, document=asked.document),
        worker=worker,
        tuning=dataclasses.replace(tuning, budgets=Budgets(3)),
    )
    stopped = next(trial for trial in job.trials if trial.hyperparameters.get("lr") == "1e-9")
    assert stopped.status == "Stopped"
    assert len(stopped.curve) < 12
    assert stopped.objective == stopped.curve[-1]
    assert re.fullmatch(r"stopped by the median rule after \d+ values?", stopped.reason)


def test_the_median_rule_by_hand():
    before = [
        (0.2, 0.4, 0.6),
        (0.4, 0.6, 0.8),
        (0.6, 0.6),
    ]  # means up to the second epoch: 0.3, 0.5, 0.6; up to the third: 0.4, 0.6, 0.6
    assert worse_than_median((0.9, 0.49), before, True)
    assert not worse_than_median((0.1, 0.5), before, True)
    assert worse_than_median((0.9, 0.9, 0.59), before, True)
    assert not worse_than_median((0.0, 0.0, 0.6), before, True)
    # Optuna's own rule would look at the best value so far, 0.9 in the first case: it would not
    # stop.
    assert not worse_than_median((0.9, 0.49), before, False)
    assert worse_than_median((0.1, 0.51), before, False)
    assert worse_than_median((0.39,), [(0.2, 1.0), (0.6, 1.0)], True)  # the middle of two
    assert not worse_than_median((0.0,), [], True)
    assert not worse_than_median((0.0,), [()], True)
    assert not worse_than_median(
        (0.1,) * 3, [(0.1,) * 3], True
    )  # 0.1 + 0.1 + 0.1 is a little more than 0.3


@pytest.mark.training
def test_hyperband_stops_by_rungs(tmp_path, data):
    job = search_here(
        settings(
            tmp_path,
            data,
            {"strategy": "Hyperband", "budgets": {"jobs": 8}, "objective": LOSS},
            epochs=9,
        )
    )
    assert len(job.trials) == 8
    assert any(
        trial.reason.startswith("stopped by Hyperband") and len(trial.curve) < 9
        for trial in job.trials
    )


def ended_after(budgets: Budgets, *values: float, direction: str = "Maximize") -> str:
    """The verdict on trials with these values, in their order; empty while more trials begin."""
    sense = StudyDirection.MAXIMIZE if direction == "Maximize" else StudyDirection.MINIMIZE
    study = optuna.create_study(direction=sense)
    for value in values:
        study.tell(study.ask(), value)
    return verdict(study.trials, settings_tuning(budgets, direction)) or ""


def test_budgets_end_a_search():
    assert ended_after(Budgets(3), 0.1, 0.2) == ""
    assert "3 training jobs have begun" in ended_after(Budgets(3), 0.1, 0.2, 0.3)
    assert "target 0.5 is reached" in ended_after(Budgets(9, target=0.5), 0.2, 0.5)
    assert ended_after(Budgets(9, target=0.5), 0.49) == ""
    assert "target 0.5 is reached" in ended_after(
        Budgets(9, target=0.5), 0.6, 0.5, direction="Minimize"
    )
    flat = (0.5, 0.502, 0.503, 0.504)  # each within 1 % of the best before them
    assert "3 training jobs in a row did not better" in ended_after(
        Budgets(9, not_improving=3), *flat
    )
    assert ended_after(Budgets(9, not_improving=3), *flat[:3]) == ""
    assert ended_after(Budgets(9, not_improving=3), *flat[:3], 0.51) == ""
    limited = settings_tuning(Budgets(9, time_s=120), "Maximize")
    assert verdict([], limited, 120.0) == "its 120 s are over"


@pytest.mark.slow
def test_a_running_trial_ends_with_its_tuning_job(tmp_path, data):
    asked = settings(tmp_path, data, {"budgets": {"jobs": 1}}, epochs=400)
    worker, tuning = Worker(asked, 0), asked.recipe().tuning[0]
    study = make_study(worker.storage, tuning, ())
    steer(study, tuning, 0)
    trial = study.ask()
    claim(trial, tuning)
    study.set_user_attr(ENDED, "its 120 s are over")
    from tune.trials import run_trial

    run_trial(trial, tuning, worker.engine, tmp_path / "tree", asked.channels, False, lambda: False)
    ended = study.trials[0]
    assert ended.state == TrialState.PRUNED
    assert ended.user_attrs["reason"] == "stopped as its tuning job ended: its 120 s are over"
    assert len(ended.intermediate_values) < 400


@pytest.mark.training
def test_the_time_of_earlier_runs_counts(tmp_path, data, capfd):
    search_here(settings(tmp_path, data, {"budgets": {"jobs": 1}}))
    asked = settings(tmp_path, data, {"budgets": {"jobs": 9, "time_s": 120}})
    study = optuna.load_study(study_name="job-0", storage=open_storage(tmp_path))
    study.set_user_attr(f"{SPENT}{socket.gethostname()}", 119.5)
    Tuner(asked, 0, []).run()
    assert "1 trial; ended: its 120 s are over" in capfd.readouterr().out
    assert study.user_attrs[ENDED] == "its 120 s are over"
    assert 120 <= study.user_attrs[f"{SPENT}{socket.gethostname()}"] < 130
