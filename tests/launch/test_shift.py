"""Permutation tests: they find what has moved, and let chance pass as often as their level says."""

import numpy as np
import pytest

from launch import shift
from launch.shift import Mix, differ_in_rows, differ_in_shares, differ_in_values, holm


@pytest.fixture
def few_permutations(monkeypatch):
    """199 in place of 1999: the tests need no p-value below 1 %."""
    monkeypatch.setattr(shift, "PERMUTATIONS", 199)


@pytest.fixture
def random():
    return np.random.default_rng(3)


def test_values_that_moved_are_found(few_permutations, random):
    first = random.normal(0, 1, 60).astype(np.float32)
    assert differ_in_values(first, first[:40]).p > 0.5
    moved = differ_in_values(first, first[:40] + 1.5)
    assert moved.p == 1 / 200
    assert 0.4 < moved.statistic <= 1


def test_equal_values_are_compared_behind_the_last_of_them(few_permutations):
    same = np.zeros(30, np.float32)
    assert differ_in_values(same, same[:20]).p == 1
    assert differ_in_values(same, same[:20]).statistic == 0
    assert differ_in_values(same, np.ones(20, np.float32)).statistic == 1


def test_a_class_that_grew_is_found(few_permutations):
    labels = np.repeat([0, 1, 2], 20)
    mix = Mix(np.array([200, 200, 200]), labels, labels)
    assert differ_in_shares(mix, np.repeat([0, 1, 2], [15, 13, 12])).p > 0.5
    moved = differ_in_shares(mix, np.repeat([0, 1, 2], [5, 5, 30]))
    assert moved.p == 1 / 200
    assert moved.statistic == pytest.approx(4.48, abs=0.01)  # 30 where 13.3 are expected


def test_known_confusions_are_no_drift(few_permutations):
    # half of the photos of class 0 are answered 1, at the training and at the endpoint
    labels = np.repeat([0, 1], 40)
    answers = np.repeat([0, 1, 1], [20, 20, 40])
    mix = Mix(np.array([100, 100]), labels, answers)
    expected = mix.expected(np.array([0.5, 0.5]), np.ones(80, int))
    assert expected == pytest.approx([0.25, 0.75])
    assert differ_in_shares(mix, np.repeat([0, 1], [25, 75])).p > 0.5
    assert differ_in_shares(mix, np.repeat([0, 1], [50, 50])).p < 0.05


def test_a_class_without_validation_photos_is_taken_as_answered_rightly(few_permutations):
    mix = Mix(np.array([10, 10, 20]), np.array([0, 1]), np.array([0, 1]))
    found = mix.expected(np.array([0.25, 0.25, 0.5]), np.ones(2, int))
    assert found == pytest.approx([0.25, 0.25, 0.5])


def test_rows_that_moved_together_are_found(few_permutations, random):
    first = random.normal(0, 1, (50, 8)).astype(np.float32)
    assert differ_in_rows(first, random.normal(0, 1, (40, 8)).astype(np.float32)).p > 0.02
    assert differ_in_rows(first, random.normal(0.8, 1, (40, 8)).astype(np.float32)).p == 1 / 200
    assert differ_in_rows(np.zeros((30, 2), np.float32), np.zeros((30, 2), np.float32)).p == 1


def test_holm_bounds_the_errors_of_all_tests_together():
    assert holm([0.004, 0.2, 0.001], 0.01) == [True, False, True]  # 0.001 <= 1/3 %, 0.004 <= 1/2 %
    assert holm([0.006, 0.2, 0.001], 0.01) == [False, False, True]
    assert holm([0.004, 0.004, 0.004], 0.01) == [False, False, False]
    assert holm([], 0.01) == []
