"""`make e2e`, whole: every step of the demo on SageMaker's API of this machine, in both engines."""

import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.verify
TIMEOUT_S = 1800


@pytest.mark.parametrize("engine", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_every_step_does_what_it_must_and_nothing_is_left_behind(tmp_path, engine, request):
    if engine == "docker":
        request.getfixturevalue("images")
    command = [sys.executable, "-m", "local_test.e2e", "--engine", engine, f"--out={tmp_path}/e2e"]
    done = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    last = done.stdout.splitlines()[-1]
    assert last.startswith("e2e: steps=")
    assert " left_behind=0 " in last
