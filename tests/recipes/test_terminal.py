"""What a terminal shows, and what a pipe gets in its place."""

import pytest

from recipes.progress import VARIABLE, Counted, Progress, counted_line, read_counted
from recipes.terminal import Bar, on_terminal, print_grid, print_pairs
from tests.support.terminals import watched

ROWS = [("ok", "python", "3.13"), ("missing", "docker", "type: " + "sudo apt-get " * 12)]


def test_rows_fit_the_terminal_and_have_colours(monkeypatch):
    with watched(monkeypatch, 60) as screen:
        print_grid(ROWS, (8, 14))
    assert max(map(len, screen.lines)) <= 60
    assert screen.lines[0] == "  ok       python         3.13"
    folded = [line for line in screen.lines if "apt-get" in line]
    assert len(folded) > 2
    assert all(line.startswith(" " * 26) for line in folded[1:])
    assert "\x1b[32mok" in screen.text
    assert "\x1b[1;31mmissing" in screen.text


def test_no_color_is_honoured(monkeypatch):
    with watched(monkeypatch) as screen:
        monkeypatch.setenv("NO_COLOR", "1")
        print_grid(ROWS, (8, 14))
    assert "\x1b[32m" not in screen.text
    assert "31m" not in screen.text


def test_a_path_is_a_link(monkeypatch, tmp_path):
    with watched(monkeypatch, 300) as screen:
        print_pairs({"report": tmp_path / "report.html"})
    assert f";file://{tmp_path}/report.html" in screen.text
    assert screen.lines[0] == f"  report                 {tmp_path}/report.html"


def test_a_pipe_gets_plain_rows(capsys):
    with Bar() as bar:
        assert not bar.drawn
        bar.show("decoding", 3, 10, "photos")
        print_grid(ROWS[:1], (8, 14))
    assert capsys.readouterr().out == "  ok       python         3.13\n"


def test_no_cell_steers_a_terminal_or_begins_a_line(monkeypatch, capsys):
    rows = [("a\x1b[2Kb", "[red]c\nd")]
    print_grid(rows, (8,))
    assert capsys.readouterr().out == "  a\\x1b[2Kb [red]c\\nd\n"
    with watched(monkeypatch) as screen:
        print_grid(rows, (8,))
    assert screen.lines[0] == "  a\\x1b[2Kb [red]c\\nd"


@pytest.mark.parametrize("term", ["", "dumb"])
def test_a_terminal_that_moves_no_cursor_is_a_pipe(monkeypatch, term):
    with watched(monkeypatch) as screen:
        assert on_terminal()
        monkeypatch.setenv("TERM", term)
        assert not on_terminal()
    assert screen.text == ""


def test_a_bar_leaves_the_lines_that_are_printed_meanwhile(monkeypatch):
    with watched(monkeypatch) as screen, Bar() as bar:
        for done in (10, 20, 30):
            bar.show("decoding", done, 40, "photos", "2 broken")
            bar.refresh()
        print("a line")
    assert "decoding" in screen.text
    assert "30/40 photos" in screen.text
    assert "s left" in screen.text
    assert "2 broken" in screen.text
    assert "a line" in screen.lines
    assert not any("decoding" in line for line in screen.lines)  # gone at the end


@pytest.mark.parametrize(
    "counted, seconds, line",
    [
        (
            Counted("epoch 3", 20, 50, "photos"),
            10,
            "epoch 3, 20 of 50 photos, 2.0 photos/s, 15 s left",
        ),
        (Counted("listing", 7, None, "photos"), 7, "listing, 7 photos, 1.0 photos/s"),
        (Counted("a, b", 0, 50, "files"), 10, "a, b, 0 of 50 files, 0.0 files/s"),
    ],
)
def test_the_line_of_a_count_can_be_read_again(counted, seconds, line):
    assert counted_line(counted, seconds) == line
    for before in ("", "progress: ", "prepare: "):
        assert read_counted(before + line) == counted


@pytest.mark.parametrize("line", ["", "epoch=1 lr=0", "store: x, 0 of 30 rows are there, 5 MB"])
def test_other_lines_are_no_counts(line):
    assert read_counted(line) is None


def test_who_draws_a_bar_asks_for_more_lines(monkeypatch):
    said: list[str] = []
    monkeypatch.setenv(VARIABLE, "-1")
    Progress("decoding", 3, said.append, every_s=600).add(1)
    assert len(said) == 1
