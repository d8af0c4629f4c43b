"""When Ctrl-C and SIGTERM take effect in a search."""

import os
import signal
import time

import pytest

from tune.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_waits_for_the_next_check_and_the_second_does_not(number):
    before = signal.signal(number, signal.default_int_handler)
    try:
        with Interruption() as interruption:
            interruption.sleep(0)
            signal.raise_signal(number)  # would be raised here else
            with pytest.raises(KeyboardInterrupt):
                interruption.check()
            started = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                interruption.sleep(60)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
            assert time.monotonic() - started < 10
        assert signal.getsignal(number) == signal.default_int_handler
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption() as interruption:
            os.kill(os.getpid(), signal.SIGINT)
            interruption.check()
    finally:
        signal.signal(signal.SIGINT, before)
