"""What a killed process leaves behind is ended, and what it has ended itself is left alone."""

import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from runtime import docker, reaper
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
        pytest.param("deaf", signal.SIGKILL, marks=pytest.mark.verify),
    ],
)
def test_a_child_ends_with_its_parent(kind, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, kind], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))  # readable once the child has ended
    parent.send_signal(number)
    parent.communicate()
    assert select.select([child], [], [], 60)[0] == [child]
    os.close(child)


# Runs a container that is deaf to SIGTERM, says so, and waits for ever.
CONTAINER_PARENT = """
import sys, time
from runtime import docker, processes
name = sys.argv[1]
options = ["--entrypoint=sleep", "--sig-proxy=false"]
processes.start(docker.run_command("slipway-serve", ["600"], name, options), container=name)
while not docker.is_running(name):
    time.sleep(0.1)
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.verify
@pytest.mark.docker
def test_a_container_ends_with_its_parent(images):
    name = f"slipway-reaped-{os.getpid()}"
    command = [sys.executable, "-c", CONTAINER_PARENT, name]
    parent = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 120
    while docker.container_id(name):
        assert time.monotonic() < deadline
        time.sleep(0.1)


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
