"""How far a long pass is, as a line now and then: what, how much of how much, rate, time left.

The line has one form, so that the program that started this one can draw a bar in its place.
"""

import os
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from artifact.text.numbers import about

VARIABLE = "SLIPWAY_PROGRESS_S"  # seconds between two lines, for who draws a bar of them
LINE = re.compile(r"(?:\w+: )?(.+?), (\d+)(?: of (\d+))? (\w+), [\d.]+ \w+/s(?:, .* left)?$")


class Counted(NamedTuple):
    """What a line says. total: None where it is not known yet."""

    what: str
    done: int
    total: int | None
    unit: str


class Progress:
    """Counts what is done. every_s: seconds from line to line, unless the environment says it."""

    def __init__(
        self,
        what: str,
        total: int | None,
        say: Callable[[str], None],
        every_s: float,
        unit: str = "photos",
    ) -> None:
        self.done = 0
        self._what = what
        self._total = total
        self._say = say
        self._unit = unit
        self._every_s = float(os.environ.get(VARIABLE) or every_s)
        self._started = time.monotonic()
        self._said_at = self._started

    def add(self, count: int) -> None:
        """Count more, and say a line if the last one is old enough."""
        self.done += count
        now = time.monotonic()
        if now - self._said_at <= self._every_s:
            return
        self._said_at = now
        counted = Counted(self._what, self.done, self._total, self._unit)
        self._say(counted_line(counted, now - self._started))


def counted_line(counted: Counted, seconds: float) -> str:
    """A line for what was counted within these seconds."""
    speed = counted.done / max(seconds, 1e-9)
    of = "" if counted.total is None else f" of {counted.total}"
    line = f"{counted.what}, {counted.done}{of} {counted.unit}, {speed:.1f} {counted.unit}/s"
    if counted.total is None or not counted.done:
        return line
    return f"{line}, {about(max(counted.total - counted.done, 0) / speed)} left"


def read_counted(line: str) -> Counted | None:
    """What a line says, if it is one of these, with or without its program's name."""
    found = LINE.fullmatch(line)
    if not found:
        return None
    total = int(found[3]) if found[3] else None
    return Counted(found[1], int(found[2]), total, found[4])
