"""Lengths of time in words."""

import pytest

from artifact.text.numbers import about, duration


@pytest.mark.parametrize(
    "seconds, words",
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.00004, "40 µs"),
        (0.034, "34 ms"),
        (1.2345, "1.23 s"),
        (59.9, "59.9 s"),
        (60, "1 min 00 s"),
        (125.9, "2 min 05 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (2 * 3600 + 9 * 60 + 59, "2 h 09 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d 0 h"),
        (3 * 86400 + 5 * 3600 + 3599, "3 d 5 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    "seconds, words",
    [(-5, "0 s"), (0, "0 s"), (119, "119 s"), (600, "10 min"), (9000, "2 h 30 min")],
)
def test_a_time_that_is_left_is_rounded(seconds, words):
    assert about(seconds) == words
