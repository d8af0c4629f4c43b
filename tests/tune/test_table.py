"""The table of a search, its progress and its CSV: order, bars, and lines without a value."""

import csv
import json
import math
from dataclasses import replace

import pytest

from tests.support.searches import alone, chain, many, trial
from tune.csv_file import FIRST, LAST, write_csv
from tune.ranking import Ranking
from tune.results import read_results, write_results
from tune.show import main
from tune.table import progress, table


def rows(text: str) -> list[list[str]]:
    """The cells of the table's rows."""
    # A row begins with its rank.
    return [
        line.split() for line in text.split("\n") if line[:1].isdecimal() and " trial" not in line
    ]


def values(*objectives: float | None) -> tuple:
    return alone(
        [trial(f"t{index}", value, h0="0") for index, value in enumerate(objectives)], names=1
    )


def test_all_trials_of_all_jobs_by_objective():
    found = rows(table(chain()))
    assert [row[0] for row in found] == [str(rank) for rank in range(1, 28)]
    assert found[0] == [
        "1",
        "yoga-4",
        "006",
        "0.125",
        "(30)",
        "(6)",
        "Completed",
        "0.85",
        "█" * 24,
        "best",
    ]
    assert [float(row[7]) for row in found] == sorted(
        (entry.score for entry in Ranking(chain()).ranked), reverse=True
    )


def test_ranges_static_ones_and_parents_stand_above():
    text = table(chain())
    assert "static: model=vgg16" in text
    assert "  static: batch_size=30 epochs=6" in text
    assert "starts from yoga-1, yoga-2, yoga-3 (IdenticalDataAndAlgorithm)" in text
    assert "lr: 0.005 to 0.015, logarithmic" in text
    assert "28 trials: 26 completed, 1 stopped, 1 failed" in text
    assert "best: yoga-4-006, validation_accuracy 0.85: lr=0.125" in text


def test_failed_trials_are_listed_with_their_reason():
    assert "  yoga-1-004  Failed  lr=0.011 batch_size=40 epochs=10: out of memory" in table(
        chain()
    ).split("\n")


def test_the_lowest_is_the_best_of_a_search_that_minimizes():
    found = rows(
        table(
            alone(
                [trial("a", 3.0, h0="0"), trial("b", 1.0, h0="0"), trial("c", 2.0, h0="0")],
                "Minimize",
                1,
            )
        )
    )
    assert [row[2] for row in found] == ["b", "c", "a"]
    assert found[0][-1] == "best"


@pytest.mark.parametrize(
    "objectives, bars",
    [
        ((1.0, 0.5, 0.26), ["█" * 24, "█" * 12, "█" * 6 + "▎"]),
        ((0.5, 0.5), ["█" * 24] * 2),
        ((0.0, 0.0), ["█" * 24] * 2),
        ((-1.0, -3.0, 1.0), ["█" * 24, "█" * 12, ""]),  # negative values: from the lowest
        (
            (1.0, 1.0, 400.0),
            ["█" * 24 + "›", "█" * 6, "█" * 6],
        ),  # one far out is cut, so that the others are seen
    ],
)
def test_bars_are_as_long_as_their_values(objectives, bars):
    found = [
        next((cell for cell in row[6:] if cell[0] in "█▎"), "")
        for row in rows(table(values(*objectives)))
    ]
    assert found == bars


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_no_number_is_no_value(value):
    text = table(values(0.5, value))
    assert len(rows(text)) == 1
    assert "  t1  Completed  h0=0: " in text


def test_only_the_first_rows_on_request():
    text = table(chain(), 3)
    assert len(rows(text)) == 3
    assert "and 24 more" in text


def test_a_search_without_values():
    assert "no trial has an objective" in table(values(None, None))
    assert table(()) == "no tuning jobs"
    assert table(values()).endswith("0 trials\n\nno trial has an objective")


def test_a_running_trial_is_ranked_but_never_the_best():
    # Its value may still fall.
    jobs = alone([trial("a", 0.5, h0="0"), trial("b", 0.9, "InProgress", h0="0")], names=1)
    found = rows(table(jobs))
    assert found[0][4] == "InProgress"
    assert "best" not in found[0]
    assert found[1][-1] == "best"


def test_values_of_other_data_do_not_compare():
    first, second, *_ = chain()
    jobs = (
        first,
        replace(
            second,
            warm_start="TransferLearning",
            # Worse than all of its parent's, but on other data.
            trials=tuple(replace(each, objective=0.1) for each in second.trials),
        ),
    )
    ranking = Ranking(jobs)
    assert ranking.best is not None
    assert ranking.best.job is jobs[1]
    assert "TransferLearning" in table(jobs)


def test_names_never_steer_the_terminal():
    # Escape sequences would change what is on the screen.
    jobs = alone([trial("a\x1b[31m\nb\x9b2J", 0.5, h0="\x07ü京")], names=1)
    assert {letter for letter in table(jobs) + progress(jobs) if not letter.isprintable()} == {"\n"}


def test_progress_counts_and_tells_the_last_values():
    running = trial("s-9", 0.7, "InProgress", h0="0.1")
    silent = replace(running, name="s-10", curve=(), objective=None)
    (job,) = alone(
        [trial("s-1", 0.5, h0="0.2"), trial("s-2", None, "Failed", h0="0.3"), running, silent],
        names=1,
    )
    lines = progress((*chain()[:1], job), limit=12).split("\n")
    assert lines[0].startswith(
        "search: 2 of 12 ended (4 trials: 1 completed, 1 failed, 2 running); best 0.5 s-1 h0=0.2"
    )
    assert [line.split()[:6] for line in lines[1:3]] == [
        ["#", "job", "trial", "h0", "status", "loss"],
        ["1", "search", "s-1", "0.2", "Completed", "0.5"],
    ]
    assert lines[3:] == ["  s-9 h0=0.1 value 2: 0.7", "  s-10 h0=0.1 no value yet"]
    # Progress must not push all else off the screen.
    many_lines = progress(alone(many(9, 2))).split("\n")
    assert len(many_lines) == 8
    assert many_lines[-1] == "  and 4 more"


def test_progress_counts_the_parents_best_where_values_compare():
    assert "best 0.75 yoga-3-010" not in progress(chain()[:2])
    assert "best 0.85 yoga-4-006" in progress(chain())
    first, second, *_ = chain()
    assert "best 0.55 yoga-1-006" in progress((first, replace(second, trials=())))


def test_csv_has_a_row_a_trial(tmp_path):
    write_csv(tmp_path / "new" / "t.csv", chain())
    with (tmp_path / "new" / "t.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == (*FIRST, "lr", "batch_size", "epochs", "model", *LAST)
    assert len(table) == 28
    assert [row["trial"] for row in table][:2] == ["yoga-1-001", "yoga-1-002"]
    best = table[-1]
    assert (best["rank"], best["value"], best["batch_size"], best["model"], best["values"]) == (
        "1",
        "0.85",
        "30",
        "vgg16",
        "2",
    )
    assert (table[3]["rank"], table[3]["value"], table[3]["reason"]) == ("", "", "out of memory")


def test_csv_keeps_a_hyperparameter_apart_that_is_named_like_a_column(tmp_path):
    write_csv(tmp_path / "t.csv", alone([trial("a", 0.5, reason='x,\n"y"')], names=0))
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    # The reason's own column is empty.
    assert row["reason"] == ""
    assert row["hyperparameter reason"] == 'x,\n"y"'


def test_show_prints_and_writes(tmp_path, capsys):
    write_results(tmp_path / "tuning.json", chain())
    assert read_results(tmp_path / "tuning.json") == chain()
    assert (
        main(
            [
                str(tmp_path / "tuning.json"),
                "--page",
                str(tmp_path / "t.html"),
                "--csv",
                str(tmp_path / "t.csv"),
                "--most",
                "2",
            ]
        )
        == 0
    )
    printed = capsys.readouterr().out
    assert len(rows(printed)) == 2
    assert (tmp_path / "t.html").exists()
    assert (tmp_path / "t.csv").exists()


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "No such file or directory"),
        ("photo", "is not a file of tuning results"),
        ("[]", "is not a file of tuning results"),
        ('{"format_version": 2}', "has format_version 2"),
        ('{"format_version": 1}', "is not a file of tuning results"),
        ('{"format_version": 1, "tuning_jobs": []}', "holds no tuning job"),
        ('{"format_version": 1, "tuning_jobs": [1]}', "is not a file of tuning results"),
    ],
)
def test_show_says_what_is_wrong_with_a_file(tmp_path, capsys, content, sentence):
    if content is not None:
        (tmp_path / "t.json").write_text(content)
    assert main([str(tmp_path / "t.json")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    "changes",
    [{"status": "Done"}, {"objective": "high"}, {"curve": ["0.5"]}, {"hyperparameters": []}],
)
def test_show_refuses_trials_of_another_kind(tmp_path, capsys, changes):
    write_results(tmp_path / "t.json", alone(many(2, 1), names=1))
    document = json.loads((tmp_path / "t.json").read_text())
    document["tuning_jobs"][0]["trials"][0] |= changes
    (tmp_path / "t.json").write_text(json.dumps(document))
    assert main([str(tmp_path / "t.json")]) == 1
    assert "of another kind" in capsys.readouterr().err
