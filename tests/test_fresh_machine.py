"""README's commands on Debians that have git, make and python3 alone: Python 3.11, 3.13, 3.14."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.jobs import REPOSITORY

SCRIPT = REPOSITORY / "tests/fresh_machine.sh"
SOCKET = Path("/var/run/docker.sock")
PYTHONS = {"bookworm": "3.11", "trixie": "3.13", "forky": "3.14"}


def test_an_unknown_distribution_is_refused():
    done = subprocess.run([SCRIPT, "sarge"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: tests/fresh_machine.sh bookworm|trixie|forky")


def fresh_machine(distribution: str, *commands: str, **variables: str) -> dict[str, str]:
    """The numbers of its last line."""
    if os.getuid() or not shutil.which("debootstrap", path=f"{os.environ['PATH']}:/usr/sbin"):
        pytest.skip("a fresh machine takes root and debootstrap")
    done = subprocess.run(
        [SCRIPT, distribution, *commands],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"fresh machine: {distribution} python{PYTHONS[distribution]} ")
    return dict(re.findall(r"(\S+)=(\d+)", last))


@pytest.mark.verify
@pytest.mark.docker
@pytest.mark.parametrize("distribution", PYTHONS)
def test_the_commands_run_to_their_end_without_an_engine(distribution):
    numbers = fresh_machine(distribution)
    assert {"first", "second", "test-fast"} <= set(numbers)
    assert int(numbers["second"]) < int(numbers["first"])  # nothing is installed again


@pytest.mark.verify
@pytest.mark.docker
@pytest.mark.parametrize("distribution", PYTHONS)
def test_the_demo_runs_to_its_end_with_an_engine(distribution):
    if not SOCKET.exists():
        pytest.skip(f"no engine listens at {SOCKET}")
    numbers = fresh_machine(distribution, "make demo", DOCKER_SOCKET=str(SOCKET))
    assert int(numbers["environment"]) < 1000  # MB: torch stays in the image
