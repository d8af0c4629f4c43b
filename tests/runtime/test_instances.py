"""Instances as processes: their output, their ends, and the port of a job's hosts."""

import os
import queue
import select
import signal
import sys

import pytest

from runtime import processes
from runtime.container_engine import ProcessEngine, RunSpec
from runtime.errors import RunError
from runtime.instances import Instance
from runtime.timeouts import SERVE_STOP_S, TRAIN_STOP_S


@pytest.mark.slow
@pytest.mark.parametrize(
    "handler, code",
    [("signal.SIG_IGN", 128 + signal.SIGKILL), ("lambda *_: sys.exit(7)", 7)],
    ids=["deaf", "obedient"],
)
def test_a_process_that_does_not_end_at_sigterm_is_killed(handler, code):
    assert (TRAIN_STOP_S, SERVE_STOP_S) == (120, 30)
    printed: queue.Queue[str] = queue.Queue()
    script = f"""
import signal, sys, time
signal.signal(signal.SIGTERM, {handler})
print("ready", flush=True)
time.sleep(60)
"""
    instance = Instance([sys.executable, "-c", script], printed.put)
    assert printed.get(timeout=30) == "ready"
    instance.stop(1)
    assert instance.code() == code


def test_a_process_is_killed_with_its_children():
    printed: queue.Queue[str] = queue.Queue()
    script = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""
    instance = Instance([sys.executable, "-c", script], printed.put)
    child = int(printed.get(timeout=30))
    assert processes.below(instance.pid) == [instance.pid, child]
    end_of_child = os.pidfd_open(child)  # readable once the child has ended
    instance.kill()
    assert instance.code() == 128 + signal.SIGKILL
    assert select.select([end_of_child], [], [], 30)[0] == [end_of_child]
    os.close(end_of_child)


def test_hosts_that_are_processes_share_one_port_for_each_job():
    engine = ProcessEngine()
    assert engine.rendezvous(1) == {}
    first = engine.rendezvous(2)
    second = engine.rendezvous(2)
    assert set(first) == {"SLIPWAY_RENDEZVOUS_PORT"}
    assert first != second
    assert engine.hosts(2) == ["127.0.0.1", "127.0.0.2"]


def test_processes_run_only_the_projects_own_images(tmp_path):
    engine = ProcessEngine()
    assert engine.find_image("1.dkr.ecr/slipway-train:v1", "train") == "1.dkr.ecr/slipway-train:v1"
    for uri in ("someone/else:1", "slipway-serve", "slipway-trainer"):
        with pytest.raises(RunError, match=f"here slipway-train; found '{uri}'"):
            engine.start(RunSpec(uri, "train", tmp_path), print)
