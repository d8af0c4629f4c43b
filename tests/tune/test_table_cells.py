"""The table's cells and lines exactly: widths, cuts, bars, brackets, and what stays hidden."""

from dataclasses import replace

import pytest

from tests.support.searches import alone, chain, many, trial
from tune.ranking import Bars
from tune.table import _pad, _width, bar_of, clean, cut, progress, table


@pytest.mark.parametrize(
    "text, width, shown",
    [("abcd", 4, "abcd"), ("abcde", 4, "abc…"), ("", 4, ""), ("abcdefghij", 9, "abcdefgh…")],
)
def test_long_texts_are_cut(text, width, shown):
    assert cut(text, width) == shown


@pytest.mark.parametrize(
    "text, columns", [("abc", 3), ("京都", 4), ("ｗ", 2), ("e\u0301", 1), ("", 0), ("█", 1)]
)
def test_the_columns_of_a_terminal(text, columns):
    assert _width(text) == columns
    assert _pad(text, 6) == text + " " * (6 - columns)


@pytest.mark.parametrize(
    "text, shown", [("a\tb\nc", "a b c"), ("a\x1b[0m", "a�[0m"), ("é", "é"), (7, "7")]
)
def test_nothing_steers_the_terminal(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    "value, bar",
    [
        (1.0, "█" * 24),
        (0.5, "█" * 12),
        (1.01, "█" * 24 + "›"),
        (0.0, ""),
        (1 / 24, "█"),
        # An eighth of a block.
        (1 / 192, "▏"),
        (7 / 192, "▉"),
        (0.4 / 192, ""),
        (0.6 / 192, "▏"),
        (9 / 192, "█▏"),
    ],
)
def test_bars_have_eighths_of_a_character(value, bar):
    assert bar_of(Bars(0.0, 1.0), value) == bar


def test_a_table_word_by_word():
    (job,) = alone([trial("t1", 0.5, h0="0.1"), trial("t2", 1.0, h0="-0.25")], names=1)
    assert table((job,)).split("\n") == [
        "search  Random, Completed: maximize loss, 2 trials",
        "  h0: -1 to 1",
        "static: model=resnet50",
        "2 trials: 2 completed",
        "",
        "#  job     trial  h0     status     loss",
        "1  search  t2     -0.25  Completed  1     " + "█" * 24 + "   best",
        "2  search  t1     0.1    Completed  0.5   " + "█" * 12,
        "",
        "best: t2, loss 1: h0=-0.25",
    ]


def test_a_missing_value_and_a_static_one_have_their_signs():
    (job,) = alone([trial("t1", 0.5)], names=1)
    (row,) = [line for line in table((job,)).split("\n") if line.startswith("1  ")]
    assert row.split()[3] == "-"
    assert "(in brackets: static in that job)" not in table((job,))
    assert "(in brackets: static in that job)" in table(chain())
    assert "(in brackets: static in that job)" not in table(chain()[:1])


def test_long_names_and_values_are_cut_in_the_table():
    name = "n" * 40
    one = trial("t" * 40, 0.5, **{name: "v" * 40})
    (job,) = alone([one], names=0)
    job = replace(job, name="j" * 40, ranges={name: {"type": "Categorical", "values": ["v"]}})
    lines = table((job,)).split("\n")
    head = next(line for line in lines if line.startswith("#"))
    row = next(line for line in lines if line.startswith("1  "))
    assert head.split()[3] == "n" * 21 + "…"
    assert row.split()[1:4] == ["j" * 31 + "…", "t" * 31 + "…", "v" * 17 + "…"]


def test_a_warm_start_without_a_type():
    (job,) = alone([], parents=("one", "two"))
    assert "  starts from one, two" in table((job,)).split("\n")


@pytest.mark.parametrize("most, hidden", [(1, 2), (2, 1), (3, 0), (None, 0)])
def test_hidden_trials_are_counted(most, hidden):
    trials = [trial(f"t{number}", None, "Failed") for number in range(3)]
    text = table(alone(trials), most)
    assert (f"  and {hidden} more" in text) == bool(hidden)
    ranked = table(alone(many(3, 1), names=1), most)
    assert (f"and {hidden} more" in ranked) == bool(hidden)


@pytest.mark.parametrize("running, hidden", [(12, 0), (13, 1)])
def test_twelve_running_trials_are_shown(running, hidden):
    trials = [trial(f"t{number}", None, "InProgress") for number in range(running)]
    lines = progress(alone(trials), limit=20).split("\n")
    assert lines[0].startswith(f"search: 0 of 20 ended ({running} trials: {running} running); ")
    assert lines[0].endswith("; best none yet")
    assert len(lines) == 13 + (hidden > 0)
    assert (lines[-1] == f"  and {hidden} more running") == bool(hidden)


@pytest.mark.parametrize("ended, lines", [(5, 7), (6, 8)])
def test_five_best_trials_are_shown(ended, lines):
    text = progress(alone(many(ended, 1), names=1))
    assert text.startswith(f"search: {ended} ended (")
    assert len(text.split("\n")) == lines


def test_no_jobs():
    assert progress(()) == "no tuning jobs"
