"""The steps of a command as a person sees them: what is done, what it is at, how far it is.

In a terminal each step is a bar and then a line, and what its program prints goes to a log.
Elsewhere that is printed as it comes, below the step's name.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from artifact.text.names import printable
from recipes import terminal
from recipes.progress import VARIABLE, read_counted

DRAWN_EVERY_S = "0.5"  # a line of progress of a program whose lines become a bar
KEPT_LINES = 15  # of a failed step's program
# Lines that help only who looks for a fault; the log has them.
CHATTER = re.compile(
    r"(store|head|calibration|known|artifact|licence|progress|photos|validation|test): "
    r"|\d{4}-\d\d-\d\d \S+ |Reporting |epoch=|prepare: photos=|stick_figures: |\s*$"
)
WIDEST = 60  # characters of a line beside the bar
EPOCH = re.compile(r"epoch=(\d+) ")
SCORE = re.compile(r"\b(validation_accuracy|train_loss)=(\S+)")
WITHIN_EPOCH = re.compile(r"epoch (\d+)")


class Stage:
    """A step. on_line: gets its program's lines; None: they are shown as they come.

    epochs: of its training, where it is one.
    """

    def __init__(self, title: str, log: Path, bar: terminal.Bar | None, epochs: int = 0) -> None:
        self.said = ""  # what came out, for its line
        self.log = log
        self.kept: list[str] = []
        self._title = title
        self._bar = bar
        self._epochs = epochs
        self._words = ""
        self.on_line: Callable[[str], None] | None = None
        if bar:
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text("", encoding="utf-8")
            self.on_line = self._take

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the step's program."""
        return {VARIABLE: DRAWN_EVERY_S} if self.on_line else {}

    def count(self, what: str, done: float, total: int | None, unit: str) -> None:
        """Show how far it is."""
        if self._bar:
            self._bar.show(what, done, total, unit, self._words, f"{self._title}: {what}")

    def note(self, line: str) -> None:
        """A line for the log alone."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def _take(self, line: str) -> None:
        """A line of its program: into the log, and what it says into the bar."""
        self.note(line)
        self.kept = [*self.kept, line][-KEPT_LINES:]
        counted = read_counted(line)
        epoch = EPOCH.match(line)
        if counted:
            within = WITHIN_EPOCH.fullmatch(counted.what)
            if within and counted.total and self._epochs:
                done = int(within[1]) - 1 + counted.done / counted.total
                self.count("learning", done, self._epochs, "epochs")
            else:
                self.count(*counted)
        elif epoch and self._epochs:
            self._words = " ".join(f"{name} {value}" for name, value in SCORE.findall(line))
            self.count("learning", int(epoch[1]), max(self._epochs, int(epoch[1])), "epochs")
        elif self._bar and line.strip():
            self._words = ""
            what = printable(line)[:WIDEST]
            self._bar.show(what, title=f"{self._title}: {what}")
        if line.startswith("optimizer: lbfgs"):
            self._epochs = 0  # the head is solved at once
        if self._bar and not CHATTER.match(line):
            self._bar.print_detail(line)


class Stages:
    """The steps of a command, one after the other. count: how many there will be.

    logs: folder for what their programs print.
    """

    def __init__(self, program: str, count: int) -> None:
        self._program = program
        self._count = count
        self._number = 0

    @contextmanager
    def stage(self, title: str, logs: Path, epochs: int = 0) -> Iterator[Stage]:
        """Show a step from its start to its end, whatever that is."""
        self._number += 1
        place = f"{self._number}/{self._count}"
        log = logs / f"{title}.log"
        if not terminal.on_terminal():
            print(f"{self._program}: step {place}: {title}", flush=True)
            yield Stage(title, log, None)
            return
        started = time.monotonic()
        stage = None
        try:
            with terminal.Bar() as bar:
                bar.show(title, title=f"{place} {title}")
                stage = Stage(f"{place} {title}", log, bar, epochs)
                yield stage
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._ended("✗", title, f"failed; its log: {log}", started, "bold red")
            for line in stage.kept if stage else []:
                terminal.console().print(terminal.detail(line))
            raise
        self._ended("✓", title, stage.said, started, "green")

    def _ended(self, sign: str, title: str, said: str, started: float, style: str) -> None:
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=2)
        row.add_column(min_width=8, no_wrap=True)
        row.add_column(ratio=1, overflow="fold")
        row.add_column(justify="right", no_wrap=True)
        seconds = f"{time.monotonic() - started:.0f} s"
        row.add_row(
            Text(sign, style),
            Text(title, terminal.HEAD),
            Text(said),
            Text(seconds, terminal.DIM),
        )
        terminal.console().print(row)
