"""Trainings in several processes and on several hosts of this machine, for their tests."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil

from runtime.ports import free_port
from tests.support.jobs import REPOSITORY
from tests.support.warm_processes import WarmPopen
from train.job import Job

HOSTS = ("127.0.0.1", "127.0.0.2")  # two names that this machine answers to


def start(
    job: Job,
    processes: int = 2,
    popen: type[subprocess.Popen[str]] = WarmPopen,
    **environment: str,
) -> subprocess.Popen[str]:
    """`python -m train` with this many workers; stdout and stderr come in one stream.

    popen: subprocess.Popen where workers must take their time to load torch.
    """
    return popen(
        [sys.executable, "-m", "train", "--root", str(job.root)],
        cwd=REPOSITORY,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={
            **os.environ,
            # The machine has few cores, and each worker would take all of them.
            "OMP_NUM_THREADS": "1",
            "SLIPWAY_PROCESSES": str(processes),
            **environment,
        },
    )


def start_hosts(
    jobs: list[Job], processes: int = 1, popen: type[subprocess.Popen[str]] = WarmPopen
) -> list[subprocess.Popen[str]]:
    """One host's `python -m train` per job tree, with a port of their own to meet at."""
    # All hosts are this machine: the usual port would be taken.
    port = str(free_port())
    return [start(job, processes, popen, SLIPWAY_RENDEZVOUS_PORT=port) for job in jobs]


def ended(process: subprocess.Popen[str], timeout_s: float = 120) -> tuple[int, str]:
    """Exit code and the rest of what was printed."""
    try:
        out = process.communicate(timeout=timeout_s)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out


def read_until(process: subprocess.Popen[str], start_of_line: str) -> str:
    """What is printed until a line that begins so; AssertionError if none does."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start_of_line):
            return "".join(lines)
    raise AssertionError("".join(lines))


def name_hosts(
    job: Job, current: str, hosts: tuple[str, ...] = HOSTS, interface: str = "lo"
) -> Job:
    content = {"current_host": current, "hosts": list(hosts), "network_interface_name": interface}
    (job.root / "input/config/resourceconfig.json").write_text(json.dumps(content))
    return job


def history(root: Path) -> list[list[float]]:
    """Losses and accuracies of each epoch."""
    lines = (root / "output/data/history.csv").read_text().splitlines()
    epochs = []
    for row in csv.DictReader(lines):
        epochs.append([float(row[name]) for name in row if name.endswith(("_loss", "_accuracy"))])
    return epochs


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that train under a launcher, by their rank on their host."""
    children = psutil.Process(process.pid).children()
    return sorted(children, key=lambda child: child.pid)  # they start in the order of their ranks
