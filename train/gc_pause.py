"""A pause of the garbage collector while torch loads, most of a short training's time.

It would look through all of torch's modules a dozen times, for a fifth of the time, and find
nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """No garbage is collected inside; afterwards the collector is as before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
