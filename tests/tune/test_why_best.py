"""Why a trial is the best, in sentences that hold."""

from dataclasses import replace

from tests.support.searches import alone, chain, trial
from tune.ranking import Ranking
from tune.why_best import why_best


def test_the_best_of_a_chain_is_explained():
    assert why_best(Ranking(chain())) == [
        "yoga-4-006 has the highest validation_accuracy, 0.85, of 27 trials that ended with a "
        "value.",
        "Of the 2 values that it printed, this is number 2.",
        "The next, yoga-4-005, has 0.84, 0.01 less; it ran with lr 0.124 in place of 0.125.",
    ]


def test_one_alone_equal_ones_and_none():
    one = trial("one", 0.5, h0="0.1")
    two = trial("two", 0.5, h0="0.2")
    failed = trial("failed", None, "Failed", h0="0.3")
    alone_words = why_best(Ranking(alone([one, failed], names=1)))
    assert alone_words[0].endswith("0.5. It is the only trial that ended with a value.")
    assert why_best(Ranking(alone([one, two], names=1)))[-1] == (
        "Another trial has the same value; of equal ones the first to start counts."
    )
    same = replace(two, objective=0.4, hyperparameters=one.hyperparameters)
    assert why_best(Ranking(alone([one, same], "Maximize", names=1)))[-1] == (
        "The next, two, has 0.4, 0.1 less, with the same hyperparameters."
    )
    assert why_best(Ranking(alone([failed], names=1))) == []


def test_a_better_one_that_still_runs_is_named():
    runs = replace(trial("runs", 0.3, h0="0.2"), status="InProgress")
    words = why_best(Ranking(alone([trial("one", 0.5, h0="0.1"), runs], "Minimize", names=1)))
    assert words[0].startswith("one has the lowest")
    assert words[-1] == "runs still runs, and has 0.3: it counts once it ends."
