"""What a killed process leaves behind is ended, and what it has ended itself is left alone."""

import json
import select
import signal
import subprocess
import sys
from os import close, pidfd_open

import pytest

from runtime import reaper
from tests.support.jobs import REPOSITORY

# Starts a process that is deaf to SIGTERM or not, says its number, and waits for ever.
PARENT = """
import signal, sys, time
from runtime import processes
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
script = (deaf if sys.argv[1] == "deaf" else "import time; ") + "print('up', flush=True)"
child = processes.start([sys.executable, "-c", script + "; time.sleep(600)"])
next(processes.lines(child))
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    "kind, number",
    [
        ("obedient", signal.SIGKILL),
        ("obedient", signal.SIGTERM),
        pytest.param("deaf", signal.SIGKILL, marks=pytest.mark.slow),
    ],
)
def test_a_child_ends_with_its_parent(kind, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = pidfd_open(int(parent.stdout.readline()))  # readable once the child has ended
    parent.send_signal(number)
    parent.communicate()
    assert select.select([child], [], [], 60)[0] == [child]
    close(child)


def test_what_has_ended_is_not_asked_to_end_again():
    """A number may be another process's by then. The parent waits for a reaper without work."""
    script = """
import json, subprocess, sys, time
from runtime import processes, reaper
first = processes.start([sys.executable, "-c", ""])
second = processes.start([sys.executable, "-c", ""])
first.wait()
while second.poll() is None:
    time.sleep(0.01)
print(json.dumps(sorted(reaper._own.entrusted)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True
    )
    assert json.loads(done.stdout) == []


def test_only_what_was_not_taken_back_is_left():
    lines = [
        "+ 12\n",
        "+ 13\n",
        "+ container one\n",
        "+ container two\n",
        "- 12\n",
        "- container one",
    ]
    assert reaper.left_behind(lines) == {"13", "container two"}
