"""A search in a terminal: the same table, in its width, with the best trial in colour."""

from collections.abc import Callable, Sequence

from recipes.terminal import BEST, DIM, HEAD, console, on_terminal
from tune.ranking import Entry, Ranking, bars
from tune.results import TuningJob
from tune.table import bar_of, below_rows, cells, closing, cut, opening, table

SHORT_BAR = 13  # characters, with the sign of one that is cut
GAP = 2  # between columns
ALIKE = ("job", "status")  # columns that are left out where they say the same in each row


def print_table(
    jobs: Sequence[TuningJob], most: int | None = None, say: Callable[[str], None] = print
) -> None:
    """Print the table of a search. most: rows at most, of either kind.

    say: prints the plain one, where there is no terminal.
    """
    if not jobs or not on_terminal():
        for line in table(jobs, most).split("\n"):
            say(line)
        return
    ranking = Ranking(tuple(jobs))
    screen = console()
    for line in opening(ranking):
        screen.print(line, style=DIM)
    shown = ranking.ranked[:most]
    if shown:
        _print_rows(ranking, shown)
    else:
        screen.print("no trial has an objective")
    for line in closing(ranking, most):
        screen.print(line, style=BEST if line.startswith("best: ") else "")


def _print_rows(ranking: Ranking, shown: Sequence[Entry]) -> None:
    from rich.table import Table

    heads, rows = cells(ranking, shown)
    kept = []
    widths = []
    for number, head in enumerate(heads):
        values = [row[number] for row in rows]
        if head not in ALIKE or len(set(values)) > 1:
            kept.append(number)
            widths.append(max(map(len, values)))
    grid = Table(box=None, header_style=HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    left = console().width - sum(widths) - GAP * len(kept)
    barred = left >= SHORT_BAR + GAP
    if barred:
        left -= SHORT_BAR + GAP
    for number, width in zip(reversed(kept), reversed(widths), strict=True):
        # The head of the objective, the last one, is the last to be cut.
        wider = min(max(len(heads[number]) - width, 0), max(left, 0))
        left -= wider
        heads[number] = cut(heads[number], width + wider)
    for number in kept:
        grid.add_column(heads[number], no_wrap=True, overflow="ellipsis")
    if barred:
        grid.add_column("", no_wrap=True, overflow="crop")
    scale = bars([entry.score for entry in ranking.ranked])
    for entry, row in zip(shown, rows, strict=True):
        bar = [bar_of(scale, entry.score, SHORT_BAR - 1)] if barred else []
        style = BEST if entry is ranking.best else ""
        grid.add_row(*(row[number] for number in kept), *bar, style=style)
    console().print(grid)
    for line in below_rows(ranking, shown):
        console().print(line, style=DIM)
