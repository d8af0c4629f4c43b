"""When Ctrl-C and SIGTERM take effect in a search.

Each case is a process of its own: a signal would also reach the threads of the tests' process.
"""

import signal
import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY

TWO_SIGNALS = """
import os, signal, sys, time
from tune.interruption import Interruption

number = int(sys.argv[1])
signal.signal(number, signal.default_int_handler)

def interrupted(action, *arguments):
    try:
        action(*arguments)
    except KeyboardInterrupt:
        return True
    return False

with Interruption() as interruption:
    interruption.sleep(0)
    os.kill(os.getpid(), number)  # would be raised here without an Interruption
    assert interrupted(interruption.check)
    started = time.monotonic()
    assert interrupted(interruption.sleep, 60)
    assert interrupted(os.kill, os.getpid(), number)
    assert time.monotonic() - started < 10
assert signal.getsignal(number) == signal.default_int_handler
"""
IGNORED = """
import os, signal
from tune.interruption import Interruption

signal.signal(signal.SIGINT, signal.SIG_IGN)
with Interruption() as interruption:
    os.kill(os.getpid(), signal.SIGINT)
    interruption.check()
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_waits_for_the_next_check_and_the_second_does_not(number):
    done = run(TWO_SIGNALS, str(int(number)))
    assert done.returncode == 0, done.stderr


def test_what_is_ignored_stays_so():
    done = run(IGNORED)
    assert done.returncode == 0, done.stderr
