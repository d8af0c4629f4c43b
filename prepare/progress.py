"""How far a pass is: a bar on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

EVERY_S = 5.0

Item = TypeVar("Item")


def progress(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Pass the items on and print their count to stderr."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, unit="photo", leave=False)
        return
    printed_at = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - printed_at > EVERY_S:
            printed_at = time.monotonic()
            print(f"prepare: {what}, {done} of {total} photos", file=sys.stderr, flush=True)
