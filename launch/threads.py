"""Threads that ask AWS at the same time, and that Ctrl-C leaves at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads. After an error nothing more is begun.

    After Ctrl-C what runs is not waited for either: `launch` ends without it.
    """
    pool = ThreadPoolExecutor(count)
    waits = True
    try:
        yield pool
    except KeyboardInterrupt:
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)
