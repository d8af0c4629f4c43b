"""What a person sees in a terminal: colour, tables that fit its width, a bar of progress.

A pipe, a log, and a terminal that cannot move its cursor get plain lines. NO_COLOR is honoured.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from artifact.text.names import printable
from artifact.text.numbers import about

if TYPE_CHECKING:
    from rich.console import Console
    from rich.padding import Padding
    from rich.progress import Progress, Task
    from rich.table import Table
    from rich.text import Text

# Words that say how something is
STYLES = {
    "ok": "green",
    "missing": "bold red",
    "failed": "bold red",
    "note": "yellow",
    "warning": "yellow",
}
HEAD = "bold"
BEST = "bold green"
DIM = "dim"


def on_terminal() -> bool:
    """Whether a person watches: both outputs are a terminal, and what draws there is installed."""
    for stream in (sys.stdout, sys.stderr):
        if not stream.isatty():
            return False
    return os.environ.get("TERM", "") not in ("", "dumb") and find_spec("rich") is not None


def console() -> "Console":
    """The terminal. Texts are shown as they are: no markup, no guessed colours."""
    from rich.console import Console

    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)


def print_grid(rows: Iterable[Sequence[object]], widths: Sequence[int]) -> None:
    """Rows of cells, indented. widths: characters of all columns but the last, at least.

    In a terminal the last column is folded to its width, and paths are links.
    """
    if not on_terminal():
        for row in rows:
            words = list(map(printable, row))
            padded = [f"{cell:{width}}" for cell, width in zip(words, widths, strict=False)]
            print("  " + " ".join([*padded, words[-1]]).rstrip(), flush=True)
        return
    from rich.padding import Padding

    console().print(Padding(_grid(rows, widths), (0, 0, 0, 2)))


def _grid(rows: Iterable[Sequence[object]], widths: Sequence[int]) -> "Table":
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    for width in widths:
        grid.add_column(min_width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    for row in rows:
        grid.add_row(*map(_cell, row))
    return grid


def _cell(value: object) -> "Text":
    from rich.text import Text

    text = printable(value)
    if isinstance(value, Path) and value.is_absolute():
        return Text(text, style=f"link {value.as_uri()}")
    return Text(text, style=STYLES.get(text, ""))


def print_pairs(rows: Mapping[str, object], width: int = 22) -> None:
    """Names and their values, a pair a line."""
    print_grid(list(rows.items()), (width,))


def detail(line: str) -> "Padding":
    """A line that stands below another one."""
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(printable(line), style=DIM, overflow="fold"), (0, 0, 0, 6))


class Bar(AbstractContextManager["Bar"]):
    """A bar below the lines that are printed meanwhile; nothing where no terminal is.

    With rate and time left, as soon as there are two counts to take them from.
    """

    def __init__(self) -> None:
        self._shown: tuple[str, str] | None = None
        self._progress: Progress | None = None
        if on_terminal():
            self._progress = _progress()

    @property
    def drawn(self) -> bool:
        return self._progress is not None

    def __enter__(self) -> Self:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def print_detail(self, line: str) -> None:
        """Print a line of a program above the bar, indented and folded."""
        if self._progress:
            self._progress.console.print(detail(line))

    def refresh(self) -> None:
        """Draw it now; else it is drawn some times a second."""
        if self._progress:
            self._progress.refresh()

    def show(
        self,
        what: str,
        done: float = 0,
        total: float | None = None,
        unit: str = "",
        words: str = "",
        title: str = "",
    ) -> None:
        """Show this state. what: names the count, which begins anew with another name.

        title: stands before the bar in its place. words: stand behind it.
        """
        if not self._progress:
            return
        if self._shown != (what, unit):
            self._shown = (what, unit)
            for old in self._progress.task_ids:
                self._progress.remove_task(old)
            self._progress.add_task(title or what, total=total, unit=unit, words=words)
        [task] = self._progress.task_ids
        self._progress.update(
            task, description=title or what, completed=done, total=total, words=words
        )


def _progress() -> "Progress":
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn
    from rich.table import Column
    from rich.text import Text

    class Words(ProgressColumn):
        """Count, rate, time left and what else there is to say."""

        def render(self, task: "Task") -> Text:
            return Text(task_words(task), style=DIM, no_wrap=True, overflow="ellipsis")

    class Title(ProgressColumn):
        def render(self, task: "Task") -> Text:
            return Text(task.description, no_wrap=True, overflow="ellipsis")

    return Progress(
        SpinnerColumn(),
        Title(Column(no_wrap=True)),
        BarColumn(bar_width=20),
        Words(Column(no_wrap=True, ratio=1)),
        console=console(),
        transient=True,
        expand=True,
        refresh_per_second=5,
    )


def task_words(task: "Task") -> str:
    """What stands behind a task's bar: `12/30 photos  4.0 photos/s  5 s left`, and its words."""
    unit = task.fields["unit"]
    parts = []
    if task.total is not None:
        parts.append(f"{_short(task.completed)}/{_short(task.total)} {unit}")
    elif task.completed:
        parts.append(f"{_short(task.completed)} {unit}")
    speed = task.speed
    if speed and speed >= 1:
        parts.append(f"{speed:.1f} {unit}/s")
    elif speed:
        parts.append(f"{1 / speed:.1f} s each")
    if speed and task.total is not None:
        parts.append(f"{about(max(task.total - task.completed, 0) / speed)} left")
    return "  ".join([*parts, *filter(None, [task.fields["words"]])])


def _short(count: float) -> str:
    return f"{count:.0f}" if count == int(count) else f"{count:.1f}"
