"""How far a pass is: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from recipes.progress import Progress
from recipes.terminal import Bar, on_terminal

EVERY_S = 5.0

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Pass the items on and show their count."""
    if on_terminal():
        with Bar() as bar:
            for done, item in enumerate(items, start=1):
                yield item
                bar.show(what, done, total, "photos")
        return
    counted = Progress(what, total, say, EVERY_S)
    for item in items:
        yield item
        counted.add(1)


def say(line: str) -> None:
    print(f"prepare: {line}", file=sys.stderr, flush=True)
