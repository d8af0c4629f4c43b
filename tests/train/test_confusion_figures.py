"""Figures of answers: intervals, mistakes, the drawn matrix, and the report's numbers and words."""

import dataclasses
import math

import numpy as np
import pytest

from artifact.text.intervals import wilson_interval
from artifact.text.numbers import finite, number, percent
from recipes.hyperparameters import Hyperparameters
from train.result.confusion import (
    confusion,
    drawing,
    frequent_confusions,
    misses,
    most_confused,
    per_class,
    strengths,
)
from train.result.report_settings import setting, settings_in_order


@pytest.mark.parametrize(
    "labels, predictions, words",
    [
        ([0, 3], [0, 0], "a label must lie between 0 and 2, found 3"),
        ([-1, 0], [0, 0], "a label must lie between 0 and 2, found -1"),
        ([0, 0], [0, 3], "a prediction must lie between 0 and 2, found 3"),
        ([0, 0], [-2, 0], "a prediction must lie between 0 and 2, found -2"),
    ],
)
def test_an_index_outside_the_classes_is_named(labels, predictions, words):
    with pytest.raises(ValueError, match=words):
        confusion(np.array(labels), np.array(predictions), 3)


def test_the_first_and_the_last_class_are_counted():
    matrix = confusion(np.array([0, 2, 2]), np.array([2, 0, 2]), 3)
    assert matrix.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert matrix.dtype == np.int64
    assert confusion(np.array([], int), np.array([], int), 2).tolist() == [[0, 0], [0, 0]]


def test_figures_without_anything_to_divide_by_are_no_numbers():
    figures = per_class(np.array([[2, 0, 1], [0, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(figures.precision, [1, np.nan, 0])
    np.testing.assert_allclose(figures.recall, [2 / 3, np.nan, np.nan])
    np.testing.assert_allclose(figures.f1, [0.8, np.nan, 0])
    assert figures.support.tolist() == [3, 0, 0]


@pytest.mark.parametrize(
    "share, count, low, high",
    [
        # values of Wilson's formula with z = 1.96
        (0.5, 100, 0.403829, 0.596171),
        (0.9, 10, 0.595840, 0.982124),
        (0.0, 10, 0.0, 0.277536),
        (1.0, 10, 0.722464, 1.0),
        (1.0, 1, 0.206543, 1.0),
        (0.2, 50, 0.112438, 0.330385),
    ],
)
def test_the_interval_of_a_share(share, count, low, high):
    found = wilson_interval(share, count)
    assert found == pytest.approx((low, high), abs=2e-5)
    assert found[0] >= 0
    assert found[1] <= 1


def test_mistakes_are_what_lies_beside_the_diagonal():
    matrix = np.array([[5, 1], [2, 7]])
    assert misses(matrix).tolist() == [[0, 1], [2, 0]]


def test_cells_are_as_dark_as_the_root_of_their_share():
    found = strengths(np.array([[1, 3], [0, 0]]))
    np.testing.assert_allclose(found, [[0.5, math.sqrt(0.75)], [0.0, 0.0]])


def test_the_most_frequent_confusions_come_first():
    matrix = np.array([[90, 3, 0], [2, 8, 3], [0, 1, 5]])
    # of the two pairs with three photos, the one of the smaller class
    assert frequent_confusions(matrix) == [(1, 2), (0, 1), (1, 0), (2, 1)]
    assert len(frequent_confusions(np.ones((5, 5), np.int64))) == 15
    assert len(frequent_confusions(np.ones((4, 4), np.int64))) == 12


@pytest.mark.parametrize(
    "classes, longest, side, margin",
    [
        (31, 8, 10, 58),
        (150, 8, 10, 58),
        (187, 8, 8, 48),
        (200, 40, 7, 128),  # names are cut at 28 characters
        (200, 28, 7, 128),
        (200, 27, 7, 123),
        (400, 1, 4, 12),
    ],
)
def test_a_drawn_matrix_gets_smaller_squares_for_more_classes(classes, longest, side, margin):
    matrix = np.eye(classes, dtype=np.int64)
    matrix[0, 1] = 5
    names = ["x" * longest, *["y"] * (classes - 1)]
    found = drawing(matrix, names, 30)
    assert found["side"] == side
    assert found["margin"] == margin
    assert found["links"] == [(0, 1)]  # the mistakes alone lead to photos
    assert found["paths"] == {
        ("hit", 50): f"M0 0h{side}v{side}h-{side}z",
        ("hit", 100): "".join(
            f"M{k * side} {k * side}h{side}v{side}h-{side}z" for k in range(1, classes)
        ),
    }


def test_the_most_confused_classes_of_many_stand_beside_each_other():
    matrix = 9 * np.eye(50, dtype=np.int64)
    matrix[40, 3] = 8
    matrix[7, 9] = 7
    matrix[9, 40] = 2
    assert most_confused(matrix, 4) == [40, 3, 7, 9]
    assert most_confused(matrix, 3) == [40, 3]
    assert most_confused(np.eye(50, dtype=np.int64), 4) == []


@pytest.mark.parametrize(
    "value, share, figure",
    [
        (0.12345, "12.3 %", "0.1235"),
        (1.0, "100.0 %", "1"),
        (0.0, "0.0 %", "0"),
        (12345.6, "1234560.0 %", "1.235e+04"),
        (None, "—", "—"),
        (math.nan, "—", "—"),
        (math.inf, "—", "—"),
    ],
)
def test_numbers_in_words(value, share, figure):
    assert percent(value) == share
    assert number(value) == figure


def test_a_value_that_is_missing_is_no_number():
    assert math.isnan(finite(None))
    assert math.isnan(finite(-math.inf))
    assert finite(2) == 2.0


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "—"),
        ("", "—"),
        ((), "—"),
        ((10, 20), "10,20"),
        ([0.7, 0.1], "0.7,0.1"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (0.001, "0.001"),
        ("adam", "adam"),
    ],
)
def test_settings_are_shown_as_users_write_them(value, text):
    assert setting(value) == text


def test_hyperparameters_begin_with_what_a_reader_looks_for():
    values = dataclasses.asdict(Hyperparameters(model="resnet18", mixup=0.2))
    found = settings_in_order(values)
    shown = [row["name"] for row in found["shown"]]
    assert shown[:3] == ["model", "weights", "trainable"]
    assert shown[-1] == "mixup"
    assert [row["differs"] for row in found["shown"]].count(True) == 2
    assert {"name": "preset", "value": "none", "default": "none", "differs": False} in found[
        "defaults"
    ]
    assert len(shown) + len(found["defaults"]) == len(values)
