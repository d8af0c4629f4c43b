"""Loading torch, most of a short training's time: while it lasts, the garbage collector stays away.

It would look through all of torch's modules a dozen times, for a fifth of the time, and find nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """While this lasts no garbage is looked for; afterwards it is as before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
