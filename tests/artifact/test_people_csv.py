"""CSV for people: names that begin like formulas are text, numbers are numbers."""

import csv
import io
import json

import pytest

from artifact.text.people_csv import names_file, neutral, table, true_names


@pytest.mark.parametrize(
    "name",
    [
        '=HYPERLINK("http://a","b")',
        "=1+1",
        "+1+1",
        "-1+1",
        "-",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "'=1",
        "=x/y.jpg",
        "  =1+1",
        "\u00a0=1",
        "\uff1d1+1",
        "\uff201",
    ],
)
def test_a_name_like_a_formula_is_text(name):
    assert neutral(name) == f"'{name}"
    rows = [["photo"], [name]]
    read = list(csv.reader(io.StringIO(table(rows), newline="")))
    assert read == [["photo"], [f"'{name}"]]
    assert json.loads(true_names(rows)) == {f"'{name}": name}


@pytest.mark.parametrize(
    "cell", ["a", "a=b", "photo 1.jpg", "", "a-b", None, -1, -0.5, "-0.5", "+3", "-1e-9", "0.9"]
)
def test_other_cells_and_numbers_stay(cell):
    assert neutral(cell) == cell
    assert true_names([[cell]]) == ""


def test_a_name_after_a_semicolon_is_text_too():
    assert neutral("a;=b;c;-d") == "a;'=b;c;'-d"


def test_no_two_names_become_one():
    names = ["=a", "'=a", "''=a", "a", "'a", " =a", "' =a"]
    assert len({neutral(name) for name in names}) == len(names)


def test_the_file_of_true_names_lies_beside():
    assert names_file("predictions.csv") == "predictions.names.json"
