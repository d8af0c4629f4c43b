"""The recipe's own values as a search's first trial, so that its best is at least as good."""

import pytest
from optuna.storages import InMemoryStorage

from recipes.recipe import parse_recipe
from tests.support.jobs import REPOSITORY
from tests.support.searches import trial
from tests.support.tuning import document, run
from tune.errors import SearchError
from tune.own_values import first_values, own_values
from tune.results import read_results
from tune.study import make_study


def recipe(**own):
    """A recipe that searches lr, and also sets values of its own."""
    written = document({})
    written["hyperparameters"] |= own
    return parse_recipe(written)


def test_they_are_those_of_the_recipe():
    assert own_values(recipe(lr=0.01)) == {"lr": "0.01"}


@pytest.mark.parametrize("own, found", [({}, "''"), ({"lr": 0.4}, "'0.4'")])
def test_values_that_the_search_cannot_take_are_refused(own, found):
    with pytest.raises(SearchError, match=f"own lr is {found}, which tuning job job-0 does not"):
        own_values(recipe(**own))


@pytest.mark.parametrize(
    "own, tried, first",
    [
        ({"lr": 0.01}, "0.02", {"lr": "0.01"}),
        # A parent has tried them.
        ({"lr": 0.01}, "0.01", None),
        # Not searched, or not set.
        ({"lr": 0.4}, "0.02", None),
        ({}, "0.02", None),
    ],
)
def test_the_first_trial_takes_them_where_it_can(own, tried, first):
    asked = recipe(**own)
    imported = [("before", trial("before-001", 0.5, lr=tried, model="vgg16"))]
    assert first_values(asked, asked.tuning[0], imported) == first


def test_the_demos_search_compares_with_the_demo():
    """It starts at the demo's values, and differs in its ranges alone."""
    from recipes.recipe import read_recipe

    demo = read_recipe(REPOSITORY / "recipes" / "demo.yaml")
    [search] = demo.tuning
    assert own_values(demo) == {"image_size": "224"}
    assert search.static.items() <= demo.hyperparameters.items()
    study = make_study(InMemoryStorage(), search, (), {"image_size": "160"})
    queued = [trial.system_attrs["fixed_params"] for trial in study.get_trials()]
    assert queued[0] == {"image_size": "160"}  # a grid, too, begins where it is told
    assert len(queued) == 4


@pytest.mark.training
def test_the_first_training_takes_them(tmp_path, data):
    written = document({"budgets": {"jobs": 3, "parallel": 1}, "strategy": "Bayesian"})
    written["hyperparameters"]["lr"] = 0.0125
    ended = run(tmp_path, data, written)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    [job] = read_results(tmp_path / "out" / "tuning.json")
    rates = [trial.hyperparameters["lr"] for trial in job.trials]
    assert rates[0] == "0.0125"
    assert len(set(rates)) == 3
