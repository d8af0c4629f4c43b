"""What a search draws and when it stops a trial: samplers, pruners, ranges in Optuna's form."""

import dataclasses

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from recipes.ranges import Categorical, Continuous, Integer, Range
from recipes.tuning import Budgets, Objective, Tuning
from tune.configurations import configurations
from tune.errors import SearchError
from tune.results import Trial
from tune.search import (
    MedianRule,
    choose,
    curve_of,
    make_pruner,
    make_sampler,
    steer,
    worse_than_median,
)
from tune.stored_values import distribution, stored_name, to_stored, to_text
from tune.study import load_study, make_study

LR = Continuous("lr", 0.001, 0.1, "Logarithmic")
NEAR_ONE = Continuous("momentum", 0.5, 0.99, "ReverseLogarithmic")


def tuning(**changes: object) -> Tuning:
    one = Tuning("job", Objective(), Budgets(9), (LR,), {"epochs": "2"})
    return dataclasses.replace(one, **changes)  # type: ignore[arg-type]  # the fields' own types


def storage() -> optuna.storages.BaseStorage:
    # Kept in memory: each test begins anew.
    return optuna.storages.InMemoryStorage()


@pytest.mark.parametrize(
    "entry, name, expected",
    [
        (LR, "lr", FloatDistribution(0.001, 0.1, log=True)),
        (Continuous("lr", 0.0, 0.1), "lr", FloatDistribution(0.0, 0.1)),
        # Auto: from 1:100 on, a range is searched by its logarithm.
        (Continuous("lr", 0.001, 0.1), "lr", FloatDistribution(0.001, 0.1, log=True)),
        (Continuous("lr", 0.01, 0.9), "lr", FloatDistribution(0.01, 0.9)),
        (Integer("epochs", 1, 100), "epochs", IntDistribution(1, 100, log=True)),
        (Integer("epochs", 1, 99), "epochs", IntDistribution(1, 99)),
        (Integer("epochs", 1, 9, "Logarithmic"), "epochs", IntDistribution(1, 9, log=True)),
        (Categorical("model", ("a", "b")), "model", CategoricalDistribution(("a", "b"))),
        # What is searched is the distance to 1.
        (NEAR_ONE, "1-momentum", FloatDistribution(1 - 0.99, 0.5, log=True)),
    ],
)
def test_ranges_in_optunas_form(entry: Range, name, expected):
    assert distribution(entry) == expected
    assert stored_name(entry) == name


@pytest.mark.parametrize(
    "entry, text, stored",
    [
        (LR, "0.01", 0.01),
        (Integer("epochs", 1, 9), "3.0", 3),
        (Categorical("model", ("1", "2")), "1", "1"),
        (NEAR_ONE, "0.75", 0.25),
        (NEAR_ONE, "0.99", 1 - 0.99),
        # Rounding may lead out of the range: its end is meant.
        (NEAR_ONE, "0.9900000001", 1 - 0.99),
        (NEAR_ONE, "0.5", 0.5),
        (NEAR_ONE, "0.4999999999", 0.5),
    ],
)
def test_texts_as_the_study_keeps_them(entry: Range, text, stored):
    assert to_stored(entry, text) == stored


@pytest.mark.parametrize(
    "entry, value, text",
    [
        (LR, 0.01, "0.01"),
        (LR, 1, "1.0"),
        (Integer("epochs", 1, 9), 3, "3"),
        (Categorical("model", ("1", "2")), "1", "1"),
        (NEAR_ONE, 0.25, "0.75"),
        (NEAR_ONE, 0.001, "0.99"),
        (NEAR_ONE, 0.6, "0.5"),
    ],
)
def test_values_of_the_study_as_texts(entry: Range, value, text):
    assert to_text(entry, value) == text


def test_a_grid_has_every_combination_in_order():
    grid = tuning(ranges=(Categorical("a", ("1", "2")), Categorical("b", ("x", "y"))))
    assert list(configurations(grid)) == [
        {"a": "1", "b": "x"},
        {"a": "1", "b": "y"},
        {"a": "2", "b": "x"},
        {"a": "2", "b": "y"},
    ]


def draws(seed: int, number: int) -> float:
    """The first draw of a random search's sampler."""
    study = optuna.create_study(sampler=make_sampler(tuning(strategy="Random", seed=seed), number))
    return study.ask().suggest_float("x", 0, 1)


def test_each_trial_and_each_seed_draws_its_own_values():
    # A search that goes on after a kill must draw the same.
    assert draws(0, 1) == draws(0, 1)
    drawn = {draws(seed, number) for seed in range(4) for number in range(4)}
    assert len(drawn) == 16
    assert draws(5_000, 0) != draws(0, 0)  # beyond 2**32, where the seed begins again


@pytest.mark.parametrize(
    "jobs, startup", [(1, 3), (9, 3), (11, 3), (12, 4), (29, 9), (30, 10), (99, 10)]
)
def test_a_third_of_the_trials_is_drawn_at_random_first(jobs, startup):
    sampler = make_sampler(tuning(budgets=Budgets(jobs)), 0)
    assert isinstance(sampler, optuna.samplers.TPESampler)
    assert sampler._n_startup_trials == startup


@pytest.mark.parametrize("strategy", ["Random", "Grid"])
def test_other_strategies_draw_at_random(strategy):
    assert isinstance(make_sampler(tuning(strategy=strategy), 0), optuna.samplers.RandomSampler)


def test_the_pruner_follows_the_strategy():
    hyperband = make_pruner(tuning(strategy="Hyperband", resource=(2, 9), early_stopping="Off"))
    assert isinstance(hyperband, optuna.pruners.HyperbandPruner)
    assert hyperband._min_resource == 2
    assert hyperband._max_resource == 9
    assert hyperband._reduction_factor == 2
    rule = make_pruner(tuning(early_stopping="Auto"))
    assert isinstance(rule, MedianRule)
    assert rule.maximize
    lowest = make_pruner(tuning(early_stopping="Auto", objective=Objective(direction="Minimize")))
    assert isinstance(lowest, MedianRule)
    assert not lowest.maximize
    assert isinstance(make_pruner(tuning()), optuna.pruners.NopPruner)


def test_the_median_rule_looks_at_own_trials_that_ended():
    study = optuna.create_study(direction="maximize")
    ended = study.ask()
    ended.report(0.5, 1)
    study.tell(ended, 0.5)
    # A stopped trial is no measure for the others.
    stopped = study.ask()
    stopped.report(0.6, 1)
    study.tell(stopped, state=TrialState.PRUNED)
    failed = study.ask()
    failed.report(0.0, 1)
    study.tell(failed, state=TrialState.FAIL)
    # A result carried over from another search.
    carried = optuna.trial.create_trial(
        value=0.0, intermediate_values={1: 0.0}, user_attrs={"parent": "earlier"}
    )
    study.add_trial(carried)
    running = study.ask()
    running.report(0.54, 1)
    assert MedianRule(True).prune(study, study.trials[running.number])
    running.report(0.56, 2)
    assert curve_of(study.trials[running.number]) == (0.54, 0.56)
    assert not MedianRule(True).prune(study, study.trials[running.number])


@pytest.mark.parametrize("maximize", [True, False])
def test_equal_is_not_worse_than_the_median(maximize):
    assert not worse_than_median((0.5,), [(0.5,)], maximize)
    assert not worse_than_median((), [(0.5,)], maximize)
    assert worse_than_median((0.5,), [(0.501,)], maximize) == maximize
    assert worse_than_median((0.5,), [(0.499,)], maximize) != maximize


def test_a_study_is_filled_and_found_again():
    kept = storage()
    carried = [("one", Trial("one-1", "Completed", {"lr": "0.01"}, ("lr",), 0.5))]
    study = make_study(kept, tuning(), carried)
    assert study.direction.name == "MAXIMIZE"
    assert study.user_attrs["slipway_imported"] == 1
    assert [trial.user_attrs for trial in study.trials] == [{"parent": "one"}]
    assert [trial.params for trial in study.trials] == [{"lr": 0.01}]
    again = make_study(kept, tuning(), carried)
    assert len(again.trials) == 1
    assert load_study(kept, tuning(name="other")) is None
    # Made and never filled: the process ended in between.
    optuna.create_study(storage=kept, study_name="empty")
    assert load_study(kept, tuning(name="empty")) is None
    lowest = make_study(storage(), tuning(objective=Objective(direction="Minimize")), [])
    assert lowest.direction.name == "MINIMIZE"


@pytest.mark.parametrize(
    "change, parts",
    [
        ({"seed": 1}, "seed"),
        ({"strategy": "Random"}, "strategy"),
        ({"static": {"epochs": "3"}, "seed": 1}, "seed and static hyperparameters"),
        ({"ranges": (NEAR_ONE,)}, "ranges"),
        ({"parents": ("one",), "warm_start": "TransferLearning"}, "parents"),
        ({"objective": Objective(regex="(x)")}, "objective"),
    ],
)
def test_another_search_of_this_name_is_refused(change, parts):
    kept = storage()
    make_study(kept, tuning(), [])
    with pytest.raises(SearchError) as caught:
        load_study(kept, tuning(**change))
    assert str(caught.value) == (
        "the storage's tuning job job is of another search: "
        f"its {parts} differ; name another --out or --storage"
    )
    assert load_study(kept, tuning(budgets=Budgets(99))) is not None  # budgets may change


def test_a_grids_trials_are_queued_and_taken_in_order():
    grid = tuning(ranges=(Categorical("a", ("1", "2")),), strategy="Grid")
    study = make_study(storage(), grid, [])
    assert [trial.state.name for trial in study.trials] == ["WAITING", "WAITING"]
    steer(study, grid, 0)
    assert [choose(study.ask(), grid) for _ in range(2)] == [{"a": "1"}, {"a": "2"}]
    assert make_study(storage(), tuning(), []).trials == []


def test_a_random_draw_is_of_its_trials_number():
    random = tuning(strategy="Random")
    texts = []
    for worker in (0, 7):
        study = make_study(storage(), random, [])
        steer(study, random, worker)
        texts.append(choose(study.ask(), random))
    # The trial's number decides, not the worker.
    assert texts[0] == texts[1]


def test_workers_of_a_model_based_search_draw_apart():
    texts = []
    for worker in (0, 1):
        study = make_study(storage(), tuning(), [])
        steer(study, tuning(), worker)
        texts.append(choose(study.ask(), tuning())["lr"])
    assert texts[0] != texts[1]
