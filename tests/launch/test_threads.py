"""Ctrl-C waits for no thread that waits for AWS."""

import threading

import pytest

from launch.threads import threads


def test_ctrl_c_begins_nothing_more_and_waits_for_nothing():
    held = threading.Event()
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        held.wait(60)

    with pytest.raises(KeyboardInterrupt), threads(1) as pool:
        for number in range(9):
            pool.submit(work, number)
        raise KeyboardInterrupt
    assert len(begun) <= 1
    held.set()
