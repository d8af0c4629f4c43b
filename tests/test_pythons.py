"""The fast tests on newer Pythons than this one: those of the next Debians, on fresh machines."""

import os
import subprocess

import pytest

from runtime import docker
from tests.support.jobs import REPOSITORY

pytestmark = [pytest.mark.verify, pytest.mark.docker]


@pytest.mark.skipif(os.getuid() != 0, reason="a fresh Debian is made by root")
@pytest.mark.parametrize(("distribution", "python"), [("trixie", "3.13"), ("forky", "3.14")])
def test_the_fast_tests_pass(distribution, python):
    if not docker.answers():
        pytest.skip("no container engine answers: there is no fresh machine")
    command = ["tests/fresh_machine.sh", distribution, "make environment", "make test-fast"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=5400)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert f" {distribution} python{python} " in done.stdout.splitlines()[-1]
