"""Where ticks and positions lie, to the digit: a wrong step or a shifted end would mislead."""

import numpy as np
import pytest

from artifact.pages.plot import (
    Axis,
    dots,
    line_path,
    linear_axis,
    logarithmic_ticks,
    search_axis,
    ticks,
    value_axis,
)


@pytest.mark.parametrize(
    "low, high, count, whole, expected",
    [
        (0, 10, 5, False, [0, 2, 4, 6, 8, 10]),
        (0, 1, 4, False, [0, 0.5, 1]),
        (0, 5, 5, False, [0, 1, 2, 3, 4, 5]),
        (0, 40, 5, False, [0, 10, 20, 30, 40]),
        (-3, 4, 5, False, [-4, -2, 0, 2, 4]),
        (0.05, 0.31, 5, False, [0, 0.1, 0.2, 0.3, 0.4]),
        (0, 10.005, 5, False, [0, 2, 4, 6, 8, 10, 12]),  # hardly more than five steps of 2
        (0.3 - 1e-9, 0.8 + 1e-9, 5, False, [0.3, 0.4, 0.5, 0.6, 0.7, 0.8]),
        (0, 0, 5, False, [0, 0.2]),
        (3, 3, 5, False, [3, 3.2]),
        (0, 2, 5, True, [0, 1, 2]),
        (7, 7, 5, True, [7, 8]),
        (0, 9, 5, True, [0, 2, 4, 6, 8, 10]),
    ],
)
def test_round_ticks(low, high, count, whole, expected):
    assert ticks(low, high, count, whole) == expected


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (1, 9, [0, 2, 4, 6, 8, 10]),
        (1, 10, [1, 2, 5, 10, 20, 50]),
        (1, 1000, [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]),
        (1, 1300, [1, 10, 100, 1000, 10_000]),
        (1, 1e6, [1, 10, 100, 1000, 1e4, 1e5, 1e6]),
        (1, 1e7, [1, 100, 1e4, 1e6]),
        (0.02, 0.9, [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]),
    ],
)
def test_logarithmic_ticks(low, high, expected):
    assert logarithmic_ticks(low, high) == expected


def test_the_ticks_of_a_mirrored_range_lie_near_one():
    axis = search_axis(0.5, 0.999, 0, 10, "ReverseLogarithmic")
    expected = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]
    assert sorted(axis.ticks) == expected


def test_a_linear_search_ends_at_its_range():
    axis = search_axis(0.5, 3.2, 0, 10, "Linear")
    assert (axis.low, axis.high) == (0.5, 3.2)
    assert axis.ticks == [1, 2, 3]


@pytest.mark.parametrize("exact, ends", [(True, (0.5, 3.2)), (False, (0, 4))])
def test_an_axis_ends_at_its_values_or_at_the_round_numbers_around_them(exact, ends):
    axis = linear_axis(0.5, 3.2, 0, 10, 3, exact=exact)
    assert (axis.low, axis.high) == ends


def test_positions_are_rounded_to_a_tenth():
    axis = Axis(0, 3, 0, 1, [])
    assert axis.place([0, 1, 2, 3]).tolist() == [0, 0.3, 0.7, 1]
    downwards = Axis(0, 4, 200, 40, [])
    assert downwards.place([0, 1, 4]).tolist() == [200, 160, 40]


def test_a_tick_may_miss_the_ends_by_rounding_only():
    axis = Axis(0.1, 0.3, 0, 1, [0.0999, 0.1 - 1e-12, 0.1 * 3, 0.3001])
    assert axis.ticks == [0.1 - 1e-12, 0.1 * 3]


@pytest.mark.parametrize(
    "low, found, expected",
    [
        (1, [3, 7], [1, 3, 7]),  # half a step away from the low end
        (1.5, [3, 7], [1.5, 7]),
        (1, [1, 4, 7], [1, 4, 7]),
        (1, [1.2], [1, 1.2]),
    ],
)
def test_a_tick_too_near_to_the_first_count_is_dropped(low, found, expected):
    assert Axis(low, 10, 0, 1, found).from_low().ticks == expected


@pytest.mark.parametrize("outlier, scale", [(50, "Linear"), (50.5, "Logarithmic")])
def test_an_outlier_is_more_than_fifty_times_the_median(outlier, scale):
    assert value_axis(np.array([1.0] * 9 + [outlier]), 0, 1).scale == scale


def test_with_a_zero_nothing_is_by_decades():
    assert value_axis(np.array([0.0] + [1.0] * 9 + [1e6]), 0, 1).scale == "Linear"


@pytest.mark.parametrize(
    "outlier, expected, high",
    [
        (1e6, [1, 10, 100, 1e3, 1e4, 1e5, 1e6], 1e6),
        (1e7, [1, 100, 1e4, 1e6], 1e7),
        (2e6, [1, 100, 1e4, 1e6], 2e6),
        (200.0, [1, 10, 100, 1000], 1000),
    ],
)
def test_decades_of_an_outlier(outlier, expected, high):
    axis = value_axis(np.array([1.0] * 9 + [outlier]), 0, 1)
    assert axis.low == 1
    assert axis.high == high
    assert axis.ticks == expected


@pytest.mark.parametrize(
    "values, zero, expected",
    [
        ([2.0, 10.0], True, [0, 2, 4, 6, 8, 10]),
        ([-10.0, -2.0], True, [-10, -8, -6, -4, -2, 0]),
        ([6.0, 10.0], False, [6, 7, 8, 9, 10]),
        ([np.nan, np.inf], True, [0, 0.2]),
    ],
)
def test_values_are_enclosed(values, zero, expected):
    assert value_axis(np.array(values), 0, 1, zero=zero).ticks == expected


def test_marks_are_positions_with_words():
    axis = Axis(0, 2, 10, 30, [0, 1 / 3, 2])
    assert axis.marks() == [(10, "0"), (13.3, "0.333333"), (30, "2")]
    assert axis.marks(lambda tick: f"{tick:.0f} s")[2] == (30, "2 s")


def test_a_stroke_starts_anew_after_each_gap():
    y = np.array([np.nan, 1, 2, np.nan, np.inf, 3, np.nan, 4, 5])
    assert line_path(np.arange(9.0), y) == "M1 1L2 2M5 3M7 4L8 5"
    assert dots(np.arange(9.0), y, 8) == [(5, 3)]
    assert dots(np.arange(3.0), np.array([1, 2, np.nan]), 2) == []
    assert dots(np.arange(2.0), np.array([np.nan, 2]), 1) == [(1, 2)]
