"""Recorded response tables: what each configuration reached after each epoch."""

import csv
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "data" / "search"
OWN = "own"


@dataclass(frozen=True)
class Table:
    """configurations: values by dimension; curves: validation accuracy by epoch, of each.

    own: the configuration that a recipe begins with, by its place.
    """

    name: str
    configurations: tuple[dict[str, str], ...]
    curves: tuple[tuple[float, ...], ...]
    own: int


def read_tables(folder: Path = FOLDER) -> list[Table]:
    return [read_table(path) for path in sorted(folder.glob("*.csv"))]


def read_table(path: Path) -> Table:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [name for name in rows[0] if name.isdigit()]
    names = [name for name in rows[0] if name not in (*epochs, OWN)]
    configurations = []
    curves = []
    for row in rows:
        configurations.append({name: row[name] for name in names})
        curves.append(tuple(float(row[epoch]) for epoch in epochs))
    return Table(
        path.stem,
        tuple(configurations),
        tuple(curves),
        next(place for place, row in enumerate(rows) if row[OWN] == "1"),
    )
