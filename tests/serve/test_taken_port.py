"""A server whose port is taken says so at once, before it looks at its model."""

import os
import socket
import subprocess
import sys

import pytest

from tests.support.jobs import REPOSITORY


@pytest.mark.parametrize("module", ["serve", "serve.mms"])
def test_a_taken_port_is_one_sentence(tmp_path, module):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environment = {
            **os.environ,
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SLIPWAY_MODEL_DIR": str(tmp_path / "none"),
            "SLIPWAY_HOST": "127.0.0.1",
        }
        done = subprocess.run(
            [sys.executable, "-m", module],
            cwd=REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"serve: port {port} of 127.0.0.1 is taken by another program; "
        "give another with SAGEMAKER_BIND_TO_PORT (or PORT= of make web)\n"
    )
