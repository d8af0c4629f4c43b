"""How far a pass is: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

EVERY_S = 5.0


def progress(items: Iterable, what: str, total: int) -> Iterator:
    """The items, their count being told on stderr."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=what, total=total, unit="photo", leave=False)
        return
    told = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - told > EVERY_S:
            told = time.monotonic()
            print(f"prepare: {what}, {done} of {total} photos", file=sys.stderr, flush=True)
