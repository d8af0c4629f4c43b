"""A chain of tuning jobs: each wrong part gets one sentence."""

import pytest

from recipes.errors import RecipeError
from recipes.own_training import check_tuning_job
from recipes.ranges import Categorical, Continuous, Integer
from tests.support.chains import CHILD, LR, recipe, settings
from tune.checks import check_chain

BAD = [
    (
        [{"ranges": {"lr": LR | {"min": 0.2}}}],
        "job-0: range of lr is empty: min 0.2 must be below max 0.1",
    ),
    (
        [{"ranges": {"lr": LR | {"min": 0}}}],
        "range of lr: Logarithmic needs ends above 0; found 0 to 0.1",
    ),
    (
        [{"ranges": {"lr": LR | {"min": "x"}}}],
        "range of lr: min and max must be numbers; found 'x' and '0.1'",
    ),
    (
        [{"ranges": {"lr": LR | {"scale": "Cubic"}}}],
        "range of lr: scale must be one of Auto, Linear, Logarithmic, ReverseLogarithmic; found "
        "'Cubic'",
    ),
    ([{"ranges": {"lr": {"min": 1, "max": 2}}}], "range of lr: type missing"),
    (
        [{"ranges": {"lr": LR | {"step": 1}}}],
        "range of lr: setting 'step' is unknown; known: type, min, max, scale",
    ),
    (
        [{"ranges": {"momentum": LR | {"scale": "ReverseLogarithmic", "max": 1}}}],
        "momentum: ReverseLogarithmic needs ends of at least 0 and below 1; found 0.001 to 1",
    ),
    (
        [
            {
                "ranges": {
                    "epochs": {"type": "Integer", "min": 1, "max": 4, "scale": "ReverseLogarithmic"}
                }
            }
        ],
        "ReverseLogarithmic is for Continuous ranges only",
    ),
    (
        [{"ranges": {"epochs": {"type": "Integer", "min": 1.5, "max": 4}}}],
        "an Integer range needs whole numbers; found 1.5",
    ),
    (
        [{"ranges": {"epochs": {"values": list(range(1, 32))}}}],
        "a Categorical range has 1 to 30 values; found 31",
    ),
    (
        [{"ranges": {"epochs": {"values": [1, 1]}}}],
        "range of epochs: a value stands there twice; found 1, 1",
    ),
    (
        [{"ranges": {"epochs": {"values": [1, {}]}}}],
        "range of epochs: a value must be a text, a number, true or false, or a list of these; "
        "found '{}'",
    ),
    (
        [{"ranges": {"epochs": {"values": ["x" * 2501]}}}],
        "hyperparameter epochs: a value has at most 2500 characters; found 2501",
    ),
    ([{"ranges": {"e" * 257: LR}}], "a hyperparameter's name is a text of 1 to 256 characters"),
    ([{"ranges": {}}], "a tuning job searches 1 to 30 hyperparameters; found 0"),
    (
        [{"hyperparameters": {"lr": 1}}],
        "lr is tuned by a range and also set by its hyperparameters; keep one",
    ),
    (
        [{"name": "a" * 33}],
        "a tuning job's name has 1 to 32 letters, digits and inner hyphens; found 'aaa",
    ),
    (
        [{"name": "a_b"}],
        "a tuning job's name has 1 to 32 letters, digits and inner hyphens; found 'a_b'",
    ),
    ([{"name": "same"}, {"name": "same"}], "two tuning jobs are named 'same'"),
    (
        [{"strategy": "Annealing"}],
        "strategy must be one of Bayesian, Random, Grid, Hyperband; found 'Annealing'",
    ),
    ([{"strategy": "Grid"}], "Grid takes Categorical ranges only; that of lr is Continuous"),
    (
        [{"strategy": "Grid", "ranges": {"epochs": [1, 2, 3]}}],
        "Grid runs each of its 3 combinations once; budgets.jobs must be 3 or left out, found '4'",
    ),
    (
        [{"strategy": "Hyperband", "early_stopping": "Auto"}],
        "Hyperband stops trainings by itself: early_stopping must be Off",
    ),
    (
        [{"strategy": "Hyperband", "ranges": {"epochs": [1, 2]}}],
        "Hyperband needs hyperband.max_resource, or static epochs to take it from",
    ),
    (
        [{"hyperband": {"max_resource": 3}}],
        "hyperband is for the strategy Hyperband; this one is Bayesian",
    ),
    ([{"budgets": {}}], "budgets.jobs, the number of training jobs, is missing"),
    ([{"budgets": {"jobs": 0}}], "budgets.jobs must be a whole number of at least 1; found '0'"),
    (
        [{"budgets": {"jobs": 1, "time_s": 60}}],
        "budgets.time_s must be a whole number from 120 to 15768000; found '60'",
    ),
    (
        [{"budgets": {"jobs": 1, "not_improving": 2}}],
        "budgets.not_improving must be a whole number of at least 3; found '2'",
    ),
    (
        [{"budgets": {"jobs": 1, "hours": 2}}],
        "budgets: setting 'hours' is unknown; known: jobs, parallel, time_s, target, not_improving",
    ),
    (
        [{"objective": {"regex": "accuracy=[0-9.]+"}}],
        "the objective's regex needs a group in parentheses",
    ),
    ([{"objective": {"regex": "("}}], "the objective's regex '(' is not a regular expression"),
    (
        [{"objective": {"direction": "Up"}}],
        "direction must be one of Maximize, Minimize; found 'Up'",
    ),
    ([{"parents": ["job-1"]}], "parents and warm_start go together"),
    ([CHILD | {"parents": ["job-0"]}], "its parents must be other tuning jobs"),
    ([CHILD | {"parents": list("abcdef")}], "a warm start has at most 5 parents; found 6"),
    ([CHILD | {"parents": ["elsewhere"]}], "the parent 'elsewhere' does not exist; known: none"),
    (
        [{}, CHILD | {"ranges": {"lr": [0.1, 0.2]}}],
        "job-1: lr is Categorical, in its parent job-0 Continuous; a hyperparameter's type must "
        "not change",
    ),
    (
        [{}, CHILD | {"hyperparameters": {"momentum": 0.5}}],
        "static and tuned hyperparameters together must stay those of its parent job-0; "
        "momentum is in one of the two only",
    ),
    (
        [{}, CHILD | {"objective": {"metric": "validation_loss", "direction": "Minimize"}}],
        "the objective must stay the same",
    ),
    (
        [{"ranges": {"epochs": list(range(1, 12))}}, CHILD | {"ranges": {"weight_decay": [0, 1]}}],
        "static and tuned hyperparameters together must stay",
    ),
    (
        [
            # The parent has eleven values, the child none: eleven changes.
            {"ranges": {"batch_size": list(range(1, 12)), "lr": LR}},
            CHILD | {"hyperparameters": {"batch_size": 1}},
        ],
        "11 changes from its parent job-0 (batch_size 11); at most 10 are allowed",
    ),
    (
        [{"ranges": {"learning": LR}}],
        "hyperparameter 'learning' is unknown (did you mean 'learning_rate'?); known: preset, "
        "head_first",
    ),
    ([{"ranges": {"batch_size": ["many", 3]}}], "hyperparameter batch_size"),
    (
        [{"ranges": {"batch_size": LR | {"min": 1, "max": 2}}}],
        "hyperparameter batch_size takes whole numbers; a Continuous range does not suit it",
    ),
    (
        [{"ranges": {"lr": LR | {"min": -1, "scale": "Linear"}}}],
        "hyperparameter lr must be at least 0",
    ),
    (
        [{"ranges": {"optimizer": ["sgd", "sdg"]}}],
        "hyperparameter optimizer must be one of auto, lbfgs, sgd, nag",
    ),
    ([{"hyperparameters": {"epoch": 3}}], "hyperparameter 'epoch' is unknown"),
    ([], "the recipe small has no tuning jobs"),
]


@pytest.mark.parametrize("jobs, sentence", BAD, ids=[sentence[:60] for _, sentence in BAD])
def test_bad_input_gets_one_sentence(jobs, sentence):
    with pytest.raises(RecipeError) as caught:
        check_chain(settings(*jobs))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ranges_hold_their_ends():
    assert Continuous("lr", 0.1, 0.2).holds("0.1")
    assert Continuous("lr", 0.1, 0.2).holds("0.2")
    assert not Continuous("lr", 0.1, 0.2).holds("0.21")
    assert Integer("n", 1, 4).holds("4.0")
    assert not Integer("n", 1, 4).holds("2.5")
    assert not Integer("n", 1, 4).holds("none")
    assert Categorical("c", ("1",)).holds("1")
    assert not Categorical("c", ("1",)).holds("1.0")
    check_tuning_job(recipe({}).tuning[0])
