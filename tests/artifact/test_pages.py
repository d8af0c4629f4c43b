"""The common parts of all pages: positions and ticks of an axis, and the scripts that may run."""

import numpy as np
import pytest

from artifact.pages.page import write_page
from artifact.pages.plot import dots, line_path, linear_axis, search_axis, ticks, value_axis


@pytest.mark.parametrize(
    "scale, low, high, middle",
    [
        # The middle of the axis is the middle of the search.
        ("Linear", 0.0, 8.0, 4.0),
        ("Logarithmic", 1e-4, 1e-2, 1e-3),
        ("ReverseLogarithmic", 0.0, 0.99, 0.9),
    ],
)
def test_a_range_is_drawn_in_the_scale_it_was_searched_in(scale, low, high, middle):
    axis = search_axis(low, high, 100, 0, scale)
    assert axis.place([low, middle, high]).tolist() == [100, 50, 0]
    # What was not measured has no place.
    assert np.isnan(axis.place(np.nan))
    assert all(low <= tick <= high for tick in axis.ticks)
    assert middle in axis.ticks


@pytest.mark.parametrize("scale", ["Linear", "Logarithmic", "ReverseLogarithmic"])
def test_a_range_of_one_value_lies_in_the_middle(scale):
    axis = search_axis(0.5, 0.5, 0, 10, scale)
    assert axis.place([0.5]).tolist() == [5]
    assert axis.marks() == [(5.0, "0.5")]


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.12, 0.125, [0.12, 0.122, 0.124]),
        (0.005, 0.125, [0.005, 0.01, 0.02, 0.05, 0.1]),
        # A range over decades has only powers of ten.
        (1e-5, 1.0, [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0]),
    ],
)
def test_ticks_of_a_logarithmic_range_suit_its_width(low, high, expected):
    assert search_axis(low, high, 0, 1, "Logarithmic").ticks == expected


@pytest.mark.parametrize(
    "low, high", [(0.0, 0.0), (3.0, 3.0), (-2.0, 5.0), (1e-12, 2e-12), (1e9, 1e9 + 1)]
)
def test_round_ticks_enclose_both_ends(low, high):
    found = ticks(low, high, 5)
    assert len(found) >= 2
    assert found[0] <= low
    assert found[-1] >= high


def test_one_outlier_makes_a_logarithmic_axis():
    # One outlier would press all others into one line.
    usual = np.linspace(0.5, 1, 20)
    assert value_axis(usual, 0, 1).scale == "Linear"
    assert value_axis(np.append(usual, 1e6), 0, 1).scale == "Logarithmic"
    assert value_axis(usual, 0, 1).low == 0
    assert value_axis(usual, 0, 1, zero=False).low == 0.5
    # Not one finite value: there is an axis all the same.
    assert value_axis(np.array([np.nan, np.inf]), 0, 1).marks()


def test_counts_begin_with_their_first():
    assert linear_axis(1, 28, 0, 1, 6, exact=True, whole=True).from_low().ticks == [
        1,
        5,
        10,
        15,
        20,
        25,
    ]
    assert linear_axis(1, 1, 0, 1, 6, exact=True, whole=True).from_low().ticks == [1]


def test_lines_break_where_nothing_was_measured():
    x, y = np.arange(4.0), np.array([1, np.nan, 3, 4])
    assert line_path(x, y) == "M0 1M2 3L3 4"
    # A single point between gaps would be invisible as a line.
    assert dots(x, y, 2) == [(0, 1)]
    assert len(dots(x, y, 4)) == 3


@pytest.mark.parametrize(
    "script, policy", [("", "script-src 'none'"), ("let a = 1 < 2;", "script-src 'sha256-")]
)
def test_a_page_runs_its_own_script_alone(tmp_path, script, policy):
    (tmp_path / "t.html.j2").write_text(
        '{% extends "page.html.j2" %}{% block main %}<p>{{ words }}</p>{% endblock %}'
    )
    write_page(
        tmp_path / "new" / "page.html",
        tmp_path / "t.html.j2",
        script=script,
        title="<b>",
        words="<script>",
    )
    text = (tmp_path / "new" / "page.html").read_text()
    assert policy in text
    assert "<title>&lt;b&gt;" in text
    assert "<p>&lt;script&gt;</p>" in text
    assert text.count("<script>") == bool(script)
