"""The numbers and words of the page, exactly: times, facts, rows, cells, the best's texts."""

import json
from dataclasses import replace

import pytest

from tests.support.searches import alone, chain, trial
from tune.page import _facts, _jobs, _rows, best_hyperparameters
from tune.ranking import Ranking


def test_facts_of_a_chain():
    assert _facts(Ranking(chain())) == {
        "Best validation_accuracy": "0.85",
        "Best trial": "yoga-4-006",
        "Trials": "28 in 4 tuning jobs",
        "Strategy": "Bayesian",
        "First start to last end": "2 min 30 s",
    }


def test_facts_of_one_job_without_a_best():
    failed = replace(trial("a", None, "Failed"), started=None, ended=None)
    (job,) = alone([failed])
    first = replace(job, strategy="Grid")
    assert _facts(Ranking((job,))) == {
        "Best loss": "none",
        "Best trial": "none",
        "Trials": "1",
        "Strategy": "Random",
    }
    assert _facts(Ranking((first, job, first)))["Strategy"] == "Grid, Random"


@pytest.mark.parametrize("started", [None, "yesterday", "2026-11-21T10:00:00", ""])
def test_a_time_without_a_zone_is_no_time(started):
    odd = replace(trial("a", 0.5), started=started)
    (row,) = _rows(Ranking(alone([odd])))
    assert row["seconds"] is None
    assert row["time"] == ""


def test_one_moment_makes_no_duration():
    one = replace(trial("a", 0.5), ended=None)
    assert "First start to last end" not in _facts(Ranking(alone([one])))


def test_rows_have_rank_time_and_share_of_the_bar():
    trials = [
        trial("t1", 0.5, h0="0.123456789"),
        trial("t2", None, "Failed", h0="0"),
        trial("t3", 1.0, h0="x"),
    ]
    best, second, lost = _rows(Ranking(alone(trials, names=1)))
    assert [row["entry"].trial.name for row in (best, second, lost)] == ["t3", "t1", "t2"]
    assert [row["rank"] for row in (best, second, lost)] == [1, 2, None]
    assert [row["share"] for row in (best, second, lost)] == [1.0, 0.5, 0]
    assert [row["cut"] for row in (best, second, lost)] == [False, False, False]
    assert best["seconds"] == 150.0
    assert best["time"] == "2 min 30 s"
    assert second["cells"] == [("0.123456789", "0.123456789", True)]
    assert best["cells"] == [("x", "x", True)]


def test_a_far_outlier_is_cut():
    values = (400.0, 1.0, 1.0)
    trials = [trial(f"t{index}", value, h0="0") for index, value in enumerate(values)]
    rows = _rows(Ranking(alone(trials, names=1)))
    assert [row["cut"] for row in rows] == [True, False, False]


def test_jobs_have_colours_in_turn_and_their_ranges():
    first, *_ = chain()
    jobs = tuple(replace(first, name=f"job-{number}") for number in range(9))
    rows = _jobs(Ranking(jobs))
    assert [row["place"] for row in rows] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    assert [row["place"] for row in _rows(Ranking(jobs))].count(0) == 12  # two jobs of six
    fourth = _jobs(Ranking(chain()))[3]
    assert fourth["cells"] == [
        ("searched", "0.12 to 0.125, logarithmic"),
        ("static", "30"),
        ("static", "6"),
    ]
    assert fourth["counts"] == "6 trials: 6 completed"
    assert fourth["best"].trial.name == "yoga-4-006"


def test_the_best_texts_have_the_searched_ones_first_and_none_of_sagemakers_own():
    (job,) = alone([trial("a", 0.5, h0="1", _kms="x")], names=1)
    job = replace(job, static={"model": "vgg16", "h9": "é"})
    text = best_hyperparameters(Ranking((job,)))
    assert text == json.dumps(
        {"h0": "1", "model": "vgg16", "h9": "é"}, indent=2, ensure_ascii=False
    )
    assert best_hyperparameters(Ranking(alone([trial("a", None, "Failed")]))) is None
