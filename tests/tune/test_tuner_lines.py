"""The lines that the tuner prints, word by word."""

from dataclasses import replace

import pytest

from recipes.ranges import Continuous
from recipes.tuning import Budgets, Objective, Tuning
from tests.support.searches import alone, trial
from tune.tuner_lines import budgets_line, finished_line, parents_line


def tuning(budgets: Budgets, parents: tuple[str, ...] = ()) -> Tuning:
    ranges = (Continuous("lr", 0.1, 1),)
    return Tuning("job", Objective(), budgets, ranges, {}, parents=parents)


@pytest.mark.parametrize(
    "budgets, line",
    [
        (Budgets(3), "3 training jobs, 1 at once"),
        (Budgets(3, 2, time_s=120), "3 training jobs, 2 at once, 120 s"),
        (Budgets(3, target=0.0), "3 training jobs, 1 at once, target 0.0"),
    ],
)
def test_budgets(budgets, line):
    assert budgets_line(tuning(budgets)) == line


def test_parents():
    assert parents_line(tuning(Budgets(1)), [], 0) == ""
    jobs = list(alone([trial("a", 0.5), trial("b", None), trial("c", 0.0)]) * 2)
    line = parents_line(tuning(Budgets(1), ("one", "two")), jobs, 3)
    assert line == "; starts from one, two: 3 of 4 results lie within its ranges"


@pytest.mark.parametrize(
    "value, status, reason, line",
    [
        (
            0.123456789,
            "Completed",
            "",
            "t: Completed loss=0.123457 lr=0.0123457 batch_size=1234567",
        ),
        (0.0, "Completed", "", "t: Completed loss=0 lr=0.0123457 batch_size=1234567"),
        (None, "Failed", "no memory", "t: Failed lr=0.0123457 batch_size=1234567 (no memory)"),
    ],
)
def test_a_finished_trial(value, status, reason, line):
    one = trial("t", value, status, lr="0.012345678", batch_size="1234567")
    one = replace(one, reason=reason)
    assert finished_line(one, "loss") == line


def test_other_texts_stay_as_they_are():
    one = trial("t", 0.5, optimizer="sgd")
    assert finished_line(one, "loss") == "t: Completed loss=0.5 optimizer=sgd"
