"""The scale of a hyperparameter over a chain: which one, from where to where, which categories."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.searches import alone, trial
from tune.ranking import Ranking
from tune.results import TuningJob
from tune.scales import Scale, scale_of


def job(search: dict[str, Any] | None, *texts: str) -> TuningJob:
    """A job of one hyperparameter h, whose trials tried these texts."""
    (one,) = alone([trial(f"t{index}", 0.5, h=text) for index, text in enumerate(texts)])
    ranges = {}
    if search is not None:
        ranges = {"h": search}
    return replace(one, ranges=ranges)


def continuous(low: float, high: float, scale: str = "Linear") -> dict[str, Any]:
    return {"type": "Continuous", "min": low, "max": high, "scale": scale}


@pytest.mark.parametrize(
    "search, texts, expected",
    [
        (continuous(1, 9), (), Scale("Linear", 1, 9)),
        (continuous(1, 9), ("0.5", "10"), Scale("Linear", 0.5, 10)),
        (continuous(1, 9, "Logarithmic"), (), Scale("Logarithmic", 1, 9)),
        (continuous(1, 9, "Logarithmic"), ("0",), Scale("Linear", 0, 9)),
        (continuous(0, 0.9, "ReverseLogarithmic"), (), Scale("ReverseLogarithmic", 0, 0.9)),
        (continuous(0, 0.9, "ReverseLogarithmic"), ("1",), Scale("Linear", 0, 1)),
        (continuous(0, 0.9, "ReverseLogarithmic"), ("-1",), Scale("Linear", -1, 0.9)),
        (continuous(1, 1000, "Auto"), (), Scale("Linear", 1, 1000)),
        (continuous(1, 1001, "Auto"), (), Scale("Logarithmic", 1, 1001)),
        (continuous(1, 1001, "Linear"), (), Scale("Linear", 1, 1001)),
        (continuous(1, 9), ("x",), Scale("Categorical", categories=("x",))),
        (
            {"type": "Categorical", "values": ["16", "4"]},
            ("8",),
            Scale("Categorical", categories=("4", "8", "16")),
        ),
        (
            {"type": "Categorical", "values": ["sgd", "adam"]},
            ("adam", "zero"),
            Scale("Categorical", categories=("sgd", "adam", "zero")),
        ),
        (None, ("3", "1", "3"), Scale("Categorical", categories=("1", "3"))),
        (None, (), Scale("Categorical")),
    ],
)
def test_the_scale_of_one_job(search, texts, expected):
    assert scale_of(Ranking((job(search, *texts),)), "h") == expected


def test_the_scale_holds_the_ranges_of_all_jobs():
    jobs = (job(continuous(1, 5)), job(continuous(3, 9, "Logarithmic"), "4"))
    assert scale_of(Ranking(jobs), "h") == Scale("Logarithmic", 1, 9)
    mixed = (job(continuous(1, 5), "2"), job({"type": "Categorical", "values": ["3"]}))
    assert scale_of(Ranking(mixed), "h") == Scale("Categorical", categories=("2", "3"))
