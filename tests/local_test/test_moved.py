"""Commands under their earlier names say in one sentence where they are now."""

import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY


@pytest.mark.parametrize(
    "earlier, command",
    [
        ("local_test.sagemaker", "python -m local_sagemaker"),
        ("local_test.conformance", "python -m conformance"),
    ],
)
def test_an_earlier_name_says_the_new_command(earlier, command):
    done = subprocess.run(
        [sys.executable, "-m", earlier, "--port", "0"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"{earlier} has moved: run `{command}` with the same options\n"
