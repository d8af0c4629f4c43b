"""The ranking's rules at their bounds: which value counts, what compares, how long a bar is."""

import math
from dataclasses import replace

import pytest

from tests.support.searches import alone, chain, trial
from tune.ranking import Bars, Entry, Ranking, bars, counted_trials, number, short, words_of_range


@pytest.mark.parametrize(
    "status, value, counts, ended",
    [
        ("Completed", 0.5, True, True),
        ("Stopped", 0.5, True, True),
        ("InProgress", 0.5, True, False),
        ("Failed", 0.5, False, False),
        ("Completed", None, False, True),
        ("Completed", math.nan, False, True),
        ("Completed", -math.inf, False, True),
    ],
)
def test_a_value_counts_when_it_is_finite_and_its_trial_did_not_fail(status, value, counts, ended):
    one = replace(trial("a", 0.5, status), objective=value)
    (entry,) = Ranking(alone([one])).entries
    assert (entry.value is not None) == counts
    assert entry.ended == ended


@pytest.mark.parametrize(
    "status, value, reason, words",
    [
        ("Failed", None, "out of memory", "out of memory"),
        ("Failed", None, "", "gave no reason"),
        ("Completed", None, "", "printed no objective"),
        ("InProgress", None, "", "running"),
        ("Completed", math.inf, "", "its last objective is inf"),
        ("Failed", 0.5, "", "gave no reason"),
    ],
)
def test_why_a_trial_has_no_value(status, value, reason, words):
    one = replace(trial("a", None, status), objective=value, reason=reason)
    (entry,) = Ranking(alone([one])).entries
    assert entry.why() == words


@pytest.mark.parametrize(
    "name, expected",
    [
        ("search-007", "007"),
        ("search_7", "7"),
        ("search 7", "7"),
        ("search", "search"),
        ("search-", "search-"),
        ("other-7", "other-7"),
    ],
)
def test_the_short_name_leaves_out_the_jobs(name, expected):
    (job,) = alone([])
    assert Entry(job, trial(name, 0.5), 1).short_name == expected


def test_entries_are_numbered_over_all_jobs():
    entries = Ranking(chain()).entries
    assert [entry.number for entry in entries] == list(range(1, 29))
    assert entries[6].trial.name == "yoga-2-001"


@pytest.mark.parametrize("direction, names", [("Maximize", "bca"), ("Minimize", "acb")])
def test_the_earlier_of_equals_is_first(direction, names):
    values = {"a": 0.1, "b": 0.3, "c": 0.3}
    if direction == "Minimize":
        values = {"a": 0.1, "c": 0.1, "b": 0.3}
    trials = [trial(name, value) for name, value in values.items()]
    ranked = Ranking(alone(trials, direction)).ranked
    assert "".join(entry.trial.name for entry in ranked) == names


def test_jobs_compare_by_objective_and_direction():
    (job,) = alone([trial("a", 0.9)])
    last = replace(job, trials=(trial("b", 0.5),))
    assert Ranking((job, last)).comparable
    for other in (
        replace(job, objective="accuracy"),
        replace(job, direction="Minimize"),
        replace(job, warm_start="TransferLearning"),
    ):
        ranking = Ranking((other, last))
        assert not ranking.comparable
        best = ranking.best
        assert best is not None
        assert best.trial.name == "b"


def test_notes_name_the_cause():
    (job,) = alone([])
    assert Ranking((job, job)).notes() == []
    other = Ranking((replace(job, objective="accuracy"), job)).notes()
    assert other == [
        "Values of different jobs may not compare, as accuracy is another objective than loss: "
        "the best is that of search alone."
    ]
    transfer = Ranking((job, replace(job, warm_start="TransferLearning"))).notes()
    assert transfer == [
        "Values of different jobs may not compare, as a job with warm start TransferLearning may "
        "have other data than its parents: the best is that of search alone."
    ]


def test_columns_are_the_searched_and_then_the_static_ones_that_differ():
    (job,) = alone([trial("a", 0.5, h0="1", extra="2")], names=1)
    second = replace(job, static={"model": "vgg16", "seed": "1", "extra": "3"})
    first = replace(job, static={"model": "vgg16", "seed": "0"})
    ranking = Ranking((first, second))
    assert ranking.columns == ("h0", "extra", "seed")
    assert ranking.constant == {"model": "vgg16"}
    assert Ranking((job, replace(job, static={}))).columns == ("h0", "extra", "model")


def test_counts_in_words():
    assert counted_trials(0) == "0 trials"
    assert counted_trials(1) == "1 trial"
    assert counted_trials(2) == "2 trials"
    running = trial("a", None, "InProgress")
    assert Ranking(alone([running])).counts() == "1 trial: 1 running"
    assert Ranking(alone([])).counts() == "0 trials"


@pytest.mark.parametrize(
    "values, low, high",
    [
        ((), 0.0, 1.0),
        ((0.2, 0.4), 0.0, 0.4),
        ((-1.0, 3.0), -1.0, 3.0),
        ((-3.0, -1.0), -3.0, -1.0),
        ((0.0, 0.0), 0.0, 0.0),
        ((1.0, 1.0, 10.0), 0.0, 10.0),  # ten times the median is not far yet
        ((1.0, 1.0, 10.1), 0.0, 4.0),
        ((2.0, 2.0, 30.0), 0.0, 8.0),
        ((0.0, 0.0, 5.0), 0.0, 5.0),  # a median of 0 has no outliers
        ((-1.0, 1.0, 100.0), -1.0, 100.0),  # nor have negative values
        ((1.0, 2.0), 0.0, 2.0),
    ],
)
def test_the_ends_of_the_bars(values, low, high):
    assert bars(values) == Bars(low, high)


@pytest.mark.parametrize(
    "value, share, cut",
    [
        (0.0, 0.0, False),
        (1.0, 0.25, False),
        (4.0, 1.0, False),
        (4.1, 1.0, True),
        (-1.0, 0.0, False),
    ],
)
def test_the_length_of_a_bar(value, share, cut):
    scale = Bars(0.0, 4.0)
    assert scale.share(value) == share
    assert scale.cut(value) == cut


def test_equal_values_have_whole_bars():
    assert Bars(0.0, 0.0).share(0.0) == 1.0
    assert Bars(-2.0, 2.0).share(1.0) == 0.75


@pytest.mark.parametrize(
    "text, shown",
    [
        ("0.123456", "0.123456"),  # eight characters
        ("0.1234567", "0.123457"),
        ("1234567890", "1234567890"),
        ("123456789.5", "1.23457e+08"),
        ("resnet50.onnx", "resnet50.onnx"),
        ("", ""),
    ],
)
def test_long_fractions_are_shown_in_six_digits(text, shown):
    assert short(text) == shown


@pytest.mark.parametrize(
    "text, value", [("1e-3", 0.001), ("7", 7.0), ("nan", None), ("inf", None), ("x", None)]
)
def test_a_number_is_finite(text, value):
    assert number(text) == value


@pytest.mark.parametrize(
    "search, words",
    [
        ({"type": "Continuous", "min": 0.005, "max": 0.0150000001}, "0.005 to 0.015"),
        ({"min": 1, "max": 512, "scale": "Auto"}, "1 to 512"),
        ({"min": 1234567, "max": 2345678, "scale": "Linear"}, "1234567 to 2345678"),
        ({"min": 0.1, "max": 0.9, "scale": "Logarithmic"}, "0.1 to 0.9, logarithmic"),
        (
            {"min": 0.1, "max": 0.9, "scale": "ReverseLogarithmic"},
            "0.1 to 0.9, reverse logarithmic",
        ),
        ({"type": "Categorical", "values": ["a", 3]}, "a | 3"),
        ({"type": "Categorical"}, ""),
    ],
)
def test_a_range_in_words(search, words):
    assert words_of_range(search) == words
