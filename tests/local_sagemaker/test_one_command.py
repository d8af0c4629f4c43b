"""One command brings moto, role, bucket, images and server up, and all of it ends with it."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from artifact.host.listening import LOOPBACK
from local_sagemaker import state_folder
from local_sagemaker.options import COMMANDS
from local_sagemaker.state_folder import alone, exports_when_ready
from runtime import processes
from runtime.errors import RunError
from runtime.ports import free_port
from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.slow

SLIPWAY = REPOSITORY / "bin" / "slipway"
# In one shell, in an empty folder, behind a proxy that reaches nothing
STORY = """
set -e
trap 'slipway local-sagemaker stop; wait' EXIT
slipway local-sagemaker --engine process --port {port} >server.log 2>&1 &
eval "$(slipway local-sagemaker env)"
slipway check '{recipe}' || true    # the recipe's photos are not uploaded
env
"""


def behind_a_dead_proxy() -> dict[str, str]:
    """The environment of a shell whose proxy reaches nothing here, and with a profile of AWS."""
    proxy = f"http://127.0.0.1:{free_port()}"
    names = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")
    return {
        **os.environ,
        **dict.fromkeys(names, proxy),
        "AWS_PROFILE": "none-such",
        "AWS_REGION": "us-west-2",
        "PATH": f"{SLIPWAY.parent}:{os.environ['PATH']}",
    }


@pytest.mark.slow
def test_the_shell_that_starts_it_uses_it_and_ends_it(tmp_path):
    script = STORY.format(port=free_port(), recipe=REPOSITORY / "recipes" / "demo.yaml")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=behind_a_dead_proxy(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for found in ("role SlipwayRole", "bucket sagemaker-eu-west-1-", "image train", "image serve"):
        assert f"ok       {found}" in done.stdout, done.stdout
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert "AWS_PROFILE" not in variables
    assert set(LOOPBACK) <= set(variables["no_proxy"].split(","))
    images = json.loads(Path(variables["SLIPWAY_IMAGES"]).read_text())
    assert images["train"].endswith(".dkr.ecr.eu-west-1.amazonaws.com/slipway-train:latest")
    assert "Traceback" not in (tmp_path / "server.log").read_text()
    with alone(tmp_path / "out" / "sagemaker"):
        pass  # the server has ended


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """One that answers, in a process group of its own, and the numbers of all its processes."""
    words = [str(SLIPWAY), "local-sagemaker", "--engine", "process", "--port", str(free_port())]
    process = subprocess.Popen(
        words, cwd=folder, env=behind_a_dead_proxy(), stdout=subprocess.DEVNULL, process_group=0
    )
    try:
        assert exports_when_ready(folder / "out" / "sagemaker")
        yield process, processes.below(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_all_of_it_ends(tmp_path, number):
    """Ctrl-C reaches the whole group, SIGKILL the one process that was started."""
    with server(tmp_path) as (process, found):
        [_, moto, reaper] = found
        assert os.getpgid(moto) == process.pid
        ends = [os.pidfd_open(pid) for pid in (moto, reaper)]  # readable when that has ended
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        code = process.wait(timeout=60)
        assert code == (-number if number == signal.SIGKILL else 0)
        for end in ends:
            assert select.select([end], [], [], 60)[0] == [end]
            os.close(end)


def test_a_port_that_is_taken_is_named_with_its_option(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [SLIPWAY, "local-sagemaker", "--engine", "process", "--port", str(port)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"sagemaker: port {port} of 127.0.0.1 is taken by another program; "
        "give another with --port\n"
    )


def test_a_folder_has_one_server(tmp_path):
    refused = pytest.raises(RunError, match="another server is at work in")
    with alone(tmp_path), refused, alone(tmp_path):
        pass
    with alone(tmp_path):
        pass


def test_without_a_server_its_variables_are_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(state_folder, "APPEAR_S", 0.3)
    started = time.monotonic()
    with pytest.raises(RunError, match="no server is at work in .*; start one: "):
        exports_when_ready(tmp_path)
    assert time.monotonic() - started < 60
    with pytest.raises(RunError, match="no server is at work in"):
        state_folder.stop(tmp_path)


def test_a_shell_sees_that_there_is_none(tmp_path):
    """`eval` of nothing would succeed."""
    script = f"""
import sys
from local_sagemaker import __main__, state_folder
state_folder.APPEAR_S = 0.1
sys.exit(__main__.main(["env", "--state", {str(tmp_path)!r}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "false\n")
    assert set(COMMANDS) == {"start", "env", "link", "stop"}
