"""A trial counts with the best value of its curve, wherever its search is judged."""

import dataclasses
from typing import Any

import optuna

from recipes.tuning import Budgets, Objective
from tests.support.tuning import begin, settings_tuning
from tune.results import best_value
from tune.study import make_study
from tune.trial_states import counted, ended_early, form
from tune.trials import Running, conclude

TUNING = dataclasses.replace(
    settings_tuning(Budgets(3), "Minimize"), objective=Objective("loss", "loss=(.*)", "Minimize")
)
CURVES = ((0.5, 0.2, 0.9), (0.6, 0.3, 0.3), (0.7, 0.1))


def test_a_trial_counts_with_the_best_value_of_its_curve():
    """As its training keeps the weights of the best epoch, and the report shows the whole curve."""
    study = make_study(optuna.storages.InMemoryStorage(), TUNING, ())
    no_engine: Any = None  # nothing runs here
    for losses in CURVES:
        running = Running(begin(study, TUNING), TUNING, no_engine)
        for loss in losses:
            running.read(f"loss={loss}")
        if losses is CURVES[-1]:
            running.why = "stopped early"
        conclude(running, "", leaving=False)
    job = form(study, TUNING, "Completed")
    assert [trial.objective for trial in job.trials] == [0.2, 0.3, 0.1]
    assert [trial.status for trial in job.trials] == ["Completed", "Completed", "Stopped"]
    assert [trial.curve for trial in job.trials] == list(CURVES)
    assert job.best() is job.trials[2]
    # What the search learns from.
    assert [trial.value for trial in study.trials[:2]] == [0.2, 0.3]
    target = dataclasses.replace(TUNING, budgets=Budgets(3, target=0.15))
    assert ended_early(counted(study), target) == "its target 0.15 is reached"


def test_the_best_value_of_a_curve():
    assert best_value((0.5, float("nan"), 0.75, 0.25), "Maximize") == 0.75
    assert best_value((0.5, float("-inf"), 0.25), "Minimize") == 0.25
    assert best_value((), "Maximize") is None
