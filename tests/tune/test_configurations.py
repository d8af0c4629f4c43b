"""A search over few configurations trains none of them twice; a regex that matches nothing ends."""

import dataclasses
import math
from typing import Any

import pytest

from recipes.ranges import Categorical, Continuous, Integer, Range
from recipes.tuning import Budgets, Objective, Tuning
from tests.support.tuning import settings
from tests.tune.test_trials import Engine
from tests.tune.test_tuner import tuner
from tune.configurations import configuration_count, configurations, without_repetition
from tune.errors import SearchError
from tune.search_settings import SearchSettings
from tune.study import make_study
from tune.trial_states import counted, form
from tune.worker import Worker

MODEL = Categorical("model", ("resnet18", "resnet50"))
EPOCHS = Integer("epochs", 1, 3)
LR = Continuous("lr", 0.1, 0.2)


def tuning(*ranges: Range, jobs: int = 9, **changes: object) -> Tuning:
    one = Tuning("job", Objective(), Budgets(jobs), ranges, {})
    return dataclasses.replace(one, **changes)  # type: ignore[arg-type]  # the fields' own types


def worker_that_prints(asked: SearchSettings, line: str) -> Worker:
    """A worker whose trainings are this line."""
    worker = Worker(asked, 0)
    stand_in: Any = Engine(line)
    worker._engine = stand_in
    return worker


@pytest.mark.parametrize(
    ("ranges", "count"), [((MODEL,), 2), ((MODEL, EPOCHS), 6), ((MODEL, LR), math.inf)]
)
def test_configurations_are_counted_and_bound_the_budget(ranges, count):
    asked = tuning(*ranges)
    assert configuration_count(asked) == count
    assert without_repetition(asked).budgets.jobs == min(9, count)
    if count < math.inf:
        assert len(list(configurations(asked))) == count


def test_more_configurations_than_trials_leave_the_budget_alone():
    asked = tuning(MODEL, EPOCHS, jobs=6)
    assert without_repetition(asked) is asked


@pytest.mark.parametrize(("strategy", "jobs"), [("Random", 9), ("Bayesian", 5)])
def test_none_is_trained_twice(tmp_path, data, strategy, jobs):
    ranges = {"epochs": {"type": "Integer", "min": 1, "max": 3}, "lr": ["0.1", "0.2"]}
    job = {"strategy": strategy, "budgets": {"jobs": jobs}, "ranges": ranges}
    asked = settings(tmp_path, data, job)
    worker = worker_that_prints(asked, "epoch=1 validation_accuracy=0.5")
    one = without_repetition(asked.recipe().tuning[0])
    study = make_study(worker.storage, one, ())
    worker._search(study, one)
    found = form(study, one, "Completed").trials
    assert len(found) == min(jobs, 6)
    assert len({str(sorted(trial.hyperparameters.items())) for trial in found}) == len(found)
    assert len({trial.name for trial in found}) == len(found)


def test_the_tuner_says_that_there_are_fewer(tmp_path, capsys):
    job = {"strategy": "Random", "ranges": {"lr": ["0.1", "0.2"]}}
    one = tuner(tmp_path, job)
    study = make_study(one.storage, without_repetition(one.recipe.tuning[0]), ())
    for _ in range(2):
        trial = study.ask()
        trial.set_user_attr("hyperparameters", {"lr": "0.1"})
        trial.set_user_attr("name", f"job-0-00{trial.number + 1}")
        trial.report(0.5, 1)
        study.tell(trial, 0.5)
    one.run()
    said = capsys.readouterr().out
    assert (
        "tune: job-0: its ranges hold 2 configurations, fewer than its 4 training jobs; "
        "each is trained once\n" in said
    )
    assert "best job-0-001 validation_accuracy=0.5, 2 trials" in said


def test_a_regex_that_never_matched_ends_the_search_after_three_trials(tmp_path, data):
    asked = settings(tmp_path, data, {"budgets": {"jobs": 9}})
    worker = worker_that_prints(asked, "epoch=1 accuracy=0.5")
    one = tuner(tmp_path, {"budgets": {"jobs": 9}})
    tuning = asked.recipe().tuning[0]
    study = make_study(worker.storage, tuning, ())
    worker._search(study, tuning)
    assert len(counted(study)) == 3
    with pytest.raises(SearchError) as caught:
        one._conclude(form(study, tuning, "Completed"), [], None)
    assert str(caught.value) == (
        "tuning job job-0: none of its 3 trials has an objective; the first: the objective "
        "validation_accuracy was never printed: no line of the output matches the regex "
        f"'{tuning.objective.regex}'"
    )
