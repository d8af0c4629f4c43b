"""CSV files for people, who open them in a spreadsheet: no name in them becomes a formula there.

A spreadsheet runs a cell such as `=HYPERLINK(…)`, and a photo or a class may be named so. Such a
name gets an apostrophe before it, by which a spreadsheet takes it for text. Where a file has such
names, a JSON file beside it holds the true ones. Source: OWASP, "CSV Injection".

What programs read, such as a server's text/csv, is written exactly.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from itertools import chain

# At the start of a cell, or after a semicolon, which begins a cell in many countries; some programs
# take blanks away before, and full-width signs for the others. The apostrophe is among them, so
# that each neutral name stands for one true name only.
FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\t\r\n'\uff1d\uff0b\uff0d\uff20])")

Rows = Sequence[Sequence[object]]


def neutral(cell: object) -> object:
    """A cell as it is written: a name that begins like a formula has an apostrophe before it.

    Numbers stay as they are, numbers as text, too.
    """
    if not isinstance(cell, str) or _is_number(cell):
        return cell
    return FORMULA.sub(r"\1'", cell)


def table(rows: Rows) -> str:
    """The CSV of these rows, for people."""
    return "".join(line(map(neutral, row)) for row in rows)


def line(cells: Iterable[object]) -> str:
    """One line of CSV, exact. A line ends with a newline, and cells with one are quoted.

    Python's writer leaves a carriage return as it is unless it ends the lines: another program
    would begin a line there.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def true_names(rows: Rows) -> str:
    """JSON: the cells that `table` writes otherwise, and what they are; empty if there are none."""
    cells = {cell for cell in chain.from_iterable(rows) if isinstance(cell, str)}
    names = {str(neutral(cell)): cell for cell in sorted(cells) if neutral(cell) != cell}
    return json.dumps(names, indent=1) + "\n" if names else ""


def names_file(table_file: str) -> str:
    """The name of the file of true names beside a CSV file."""
    return f"{table_file.removesuffix('.csv')}.names.json"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
