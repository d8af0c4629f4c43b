"""A search's table in a terminal: within its width, the best trial marked."""

import re

import pytest

from tests.support.searches import chain
from tests.support.terminals import watched
from tune.table import table
from tune.terminal_table import print_table


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_table_fits_the_terminal(monkeypatch, columns):
    with watched(monkeypatch, columns) as screen:
        print_table(chain(), most=5)
    assert max(map(len, screen.lines)) <= columns
    rows = [line for line in screen.lines if re.match(r"\d  ", line)]
    assert len(rows) == 5
    assert " 0.85 " in f"{rows[0]} "  # the value, whatever else is cut
    best = next(line for line in screen.text.split("\n") if "yoga-4-006, valid" in line)
    assert best.startswith("\x1b[1;32mbest: ")


def test_a_pipe_gets_the_plain_table(capsys):
    print_table(chain(), most=5)
    assert capsys.readouterr().out == table(chain(), 5) + "\n"
