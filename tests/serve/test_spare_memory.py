"""Memory that photos leave behind goes back to the system."""

import threading
from pathlib import Path

from serve.predictor import Predictor, SharedLimits
from serve.spare_memory import SpareMemory
from tests.support.mms_containers import photo

BLOCK = 200_000  # bytes; below what the C library returns block by block
BLOCKS = 300


def own_bytes() -> int:
    """This process's own memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("/proc/self/status has no line RssAnon")


def kept_block() -> bytes:
    """Fill and free memory below a block that stays, so that the C library keeps it."""
    blocks = [bytes([index % 255 + 1]) * BLOCK for index in range(BLOCKS)]
    return blocks[-1]


def ended_timers() -> None:
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()


def test_freed_memory_goes_back():
    pinned = kept_block()
    before = own_bytes()
    spare = SpareMemory(after_s=0.01)
    spare.freed()
    ended_timers()
    assert before - own_bytes() > BLOCK * BLOCKS / 2
    assert len(pinned) == BLOCK


def test_it_goes_back_once_for_all_work_of_some_seconds():
    spare = SpareMemory(after_s=60)
    for _ in range(9):
        spare.freed()
    timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
    waiting = [one for one in timers if one.function == spare._give_back]
    assert len(waiting) == 1
    waiting[0].cancel()


def test_answered_photos_leave_nothing_behind(colours):
    shared = SharedLimits(1)
    shared.spare = SpareMemory(after_s=0.01)
    predictor = Predictor(colours.model, "f32", shared, "cpu")
    pinned = kept_block()
    before = own_bytes()
    predictor.predict([photo()])
    ended_timers()
    assert before - own_bytes() > BLOCK * BLOCKS / 2
    assert len(pinned) == BLOCK
    predictor.close()
