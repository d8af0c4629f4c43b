"""The life of slipway-serve-mms: start, /ping, dead processes, SIGTERM. Needs Docker."""

import http.client
import shutil
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from runtime.probes import ping
from tests.support.mms_containers import (
    ask,
    container,
    docker,
    instances,
    kill,
    model,
    photo,
    ready,
    wait_for,
    workers,
)

pytestmark = pytest.mark.docker


JPEG = {"Content-Type": "image/jpeg"}


def test_ping_is_honest(images, model_folder):
    """503 until the model is loaded, and while its worker is dead. Without a process it leaves."""
    with container(*model(model_folder)) as (name, url):
        seen: list[int] = []

        def is_ready() -> bool:
            seen.append(ping(url))
            return seen[-1] == 200

        wait_for(is_ready)
        assert set(seen) == {0, 503, 200}
        assert seen == sorted(seen, key=[0, 503, 200].index)
        kill(workers(name)[1:])
        wait_for(lambda: ping(url) == 503, 10)
        ready(url)
        assert ask(url, photo(), JPEG)[0] == 200
        kill(workers(name))
        wait_for(lambda: ping(url) != 200, 10)
        assert docker("wait", name).stdout.strip() == "1"
        assert "model model has no process left" in docker("logs", name).stderr


def test_mms_s_death_ends_the_container(images, model_folder):
    with container(*model(model_folder)) as (name, url):
        ready(url)
        java = [
            row.split()[0]
            for row in docker("top", name, "-eo", "pid,args").stdout.splitlines()
            if "slipway.Server" in row
        ]
        kill(java)
        assert docker("wait", name).stdout.strip() == "137"
        assert "MMS left with code 137" in docker("logs", name).stderr


def test_sigterm_answers_what_was_accepted(images, model_folder):
    """Twenty clients ask one worker; SIGTERM comes while most of them wait in MMS's queue."""
    body = instances(*[photo("red", size=(1500, 1500))] * 3)
    with container(*model(model_folder)) as (name, url), ExitStack() as stack:
        ready(url)
        connections = []
        for _ in range(20):
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
            stack.callback(connection.close)
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            connections.append(connection)
        # Connections are accepted one after the other: with this one, the twenty before it.
        ready(url)
        started = time.monotonic()
        docker("stop", "-t", "25", name)
        assert time.monotonic() - started < 25
        statuses = []
        for connection in connections:
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        assert statuses == [200] * 20
        assert docker("wait", name).stdout.strip() == "0"


@pytest.mark.parametrize(
    "environment, wrong, code, words",
    [
        ("SAGEMAKER_BIND_TO_PORT=http", None, 2, "SAGEMAKER_BIND_TO_PORT must be a whole number"),
        ("A=", "model.json", 3, "holds no model.json"),
        ("SLIPWAY_PRECISION=f32", "model.onnx", 3, "is not a graph that OpenVINO reads"),
    ],
)
def test_what_cannot_be_served_ends_with_a_sentence(
    images, model_folder, tmp_path, environment, wrong, code, words
):
    shutil.copytree(model_folder, tmp_path / "model")
    if wrong == "model.json":
        (tmp_path / "model" / wrong).unlink()
    elif wrong:
        (tmp_path / "model" / wrong).write_bytes(b"none")
    done = docker(
        "run",
        "--rm",
        "-e",
        environment,
        *model(tmp_path / "model"),
        "slipway-serve-mms",
        check=False,
    )
    assert done.returncode == code
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
