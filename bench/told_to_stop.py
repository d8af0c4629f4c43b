"""A bench that is told to stop still shows what it has measured."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Told(Exception):
    """SIGTERM."""


@contextmanager
def until_told() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the block, and the program goes on behind it."""

    def tell(number: int, frame: FrameType | None) -> None:
        raise _Told

    before = signal.signal(signal.SIGTERM, tell)
    try:
        yield
    except (_Told, KeyboardInterrupt):
        print("bench: told to stop; what is measured so far:", flush=True)
    finally:
        signal.signal(signal.SIGTERM, before)
