"""The image slipway-serve-mms: multi-model-server as SageMaker runs it. Needs Docker."""

import json
import os
import pickle
import shutil
import subprocess
import threading
from collections.abc import Iterator

import pytest

from runtime.container_engine import DockerEngine
from runtime.load import Request, each, load
from runtime.own_images import serve
from runtime.probes import ping
from tests.support.mms_containers import (
    HARDENED,
    ask,
    container,
    docker,
    instances,
    model,
    photo,
    ready,
    wait_for,
)

pytestmark = pytest.mark.docker
JPEG = {"Content-Type": "image/jpeg"}
REQUESTS = {
    "jpeg": (photo(), JPEG),
    "png": (photo("blue", "PNG"), {"Content-Type": "image/png"}),
    "any": (photo("red"), {"Content-Type": "application/x-image", "Accept": "*/*"}),
    "json": (
        instances(photo("red"), photo("blue")),
        {"Content-Type": "application/json; charset=utf-8"},
    ),
    "csv": (photo(), {**JPEG, "Accept": "text/csv"}),
    "top 1": (photo(), {**JPEG, "X-Amzn-SageMaker-Custom-Attributes": "top_k=1"}),
    "header case": (photo(), {"CONTENT-TYPE": "image/jpeg", "ACCEPT": "application/json"}),
    "wrong accept": (photo(), {**JPEG, "Accept": "image/jpeg"}),
    "wrong top": (photo(), {**JPEG, "X-Amzn-SageMaker-Custom-Attributes": "top_k=0"}),
    "wrong type": (photo(), {"Content-Type": "text/html"}),
    "no type": (photo(), {}),
    "empty": (b"", JPEG),
    "broken photo": (photo()[:200], JPEG),
    "no photo": (b"hello", JPEG),
    "form": (
        b'--x\r\nContent-Disposition: form-data; name="body"; filename="a.jpg"\r\n\r\n'
        + photo()
        + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    ),
    "one broken": (instances(photo(), b"hello"), {"Content-Type": "application/json"}),
    "broken json": (b"{", {"Content-Type": "application/json"}),
    "a little too large": (photo() + bytes(6 * 2**20), JPEG),
    "far too large": (photo() + bytes(20 * 2**20), JPEG),
}


@pytest.fixture(scope="module")
def flask(images, model_folder) -> Iterator[str]:
    """The URL of slipway-serve over the same model."""
    with serve(DockerEngine(), model_folder, images["serve"]) as url:
        yield url


@pytest.mark.parametrize("name", REQUESTS)
def test_both_serving_images_answer_alike(single, flask, name):
    body, headers = REQUESTS[name]
    status, content_type, answer = ask(single[1], body, headers)
    assert (status, content_type) == ask(flask, body, headers)[:2]
    expected = ask(flask, body, headers)[2]
    # The order of fields may differ.
    assert answer == expected or json.loads(answer) == json.loads(expected)
    assert status == 200 or list(json.loads(answer)) == ["error"]


def test_pid_1_is_ours_and_reaps(single):
    name, _ = single
    command = docker("exec", name, "cat", "/proc/1/cmdline").stdout.split("\0")
    # PID 1 gets SIGTERM, and inherits orphans.
    assert command[1:3] == ["-m", "serve.mms"]
    # The shell leaves at once: the sleep becomes PID 1's child.
    docker("exec", name, "sh", "-c", "sleep 0.2 >/dev/null 2>&1 & exit")
    wait_for(lambda: "sleep" not in docker("top", name, "-eo", "pid,comm").stdout, 10)


@pytest.mark.parametrize(
    "content_type", ["application/x-npy", "application/python-pickle", "application/x-npz"]
)
def test_a_pickle_is_refused_and_not_run(single, content_type):
    # Unpickling it would run a command.
    class Payload:
        def __reduce__(self):
            return os.system, ("touch /tmp/run-by-pickle",)

    name, url = single
    status, _, answer = ask(url, pickle.dumps(Payload()), {"Content-Type": content_type})
    assert status == 415
    assert f"Content-Type '{content_type}' is not taken" in json.loads(answer)["error"]
    assert docker("exec", name, "ls", "-a", "/tmp").stdout.count("run-by-pickle") == 0


def test_a_burst_of_large_bodies_costs_some_clients_their_answer_and_nobody_else(single):
    """In 1 GB: bodies without memory get 503. MMS alone fails them all, and keeps the memory."""
    body = photo() + bytes(6 * 2**20 - 2000)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(single[1], body, JPEG)))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in answers} <= {200, 503}
    assert len(answers) == 40
    assert any(status == 200 for status, _, _ in answers)
    assert ping(single[1]) == 200
    assert ask(single[1], photo(), JPEG)[0] == 200


@pytest.mark.verify
def test_sixty_four_connections_lose_no_answer(single):
    """In 1 GB. MMS alone, with its queue of 14, lost two answers of three."""
    requests = each([Request("photo", photo(size=(640, 480)))] * 1000)
    statuses = load(single[1], requests, 64).statuses
    assert set(statuses) <= {200, 503}
    assert statuses[200] > 900


def test_the_model_cannot_be_managed_from_outside(single):
    name, url = single
    assert [
        ask(url, b"", {}, path, method)[0]
        for path, method in [
            ("/models", "GET"),
            ("/models?url=/opt/ml/model&model_name=b", "POST"),
            ("/models/model", "DELETE"),
            ("/api-description", "GET"),
            ("/predictions/model", "POST"),
        ]
    ] == [404] * 5
    listening = [
        line.split()[1]
        for line in docker(
            "exec", name, "cat", "/proc/net/tcp", "/proc/net/tcp6"
        ).stdout.splitlines()
        # 0A: the state LISTEN.
        if " 0A " in line
    ]
    assert {int(address.rpartition(":")[2], 16) for address in listening} == {8080}


def test_code_in_the_artifact_does_not_run(images, model_folder, tmp_path):
    """MMS puts the model's folder first on PYTHONPATH; our workers do not look there."""
    shutil.copytree(model_folder, tmp_path / "model")
    # Names that Python imports as it starts.
    for name in ("json.py", "numpy.py", "sitecustomize.py"):
        (tmp_path / "model" / name).write_text("raise SystemExit('code of the artifact')")
    with container("-e", "SAGEMAKER_BIND_TO_PORT=9099", *model(tmp_path / "model"), port=9099) as (
        name,
        url,
    ):
        ready(url)
        assert ask(url, photo(), JPEG)[0] == 200


def test_it_serves_without_any_network(images, model_folder):
    """Asked from inside, by the image's own Python."""
    name = f"slipway-mms-{os.getpid()}-alone"
    docker(
        "run",
        "-d",
        "--name",
        name,
        *HARDENED,
        "--network",
        "none",
        *model(model_folder),
        "slipway-serve-mms",
    )
    # No port leads out of it: it asks itself.
    code = (
        "import json, sys, urllib.request as u\n"
        "url = 'http://127.0.0.1:8080'\n"
        "headers = {'Content-Type': 'image/jpeg'}\n"
        "request = u.Request(f'{url}/invocations', sys.stdin.buffer.read(), headers)\n"
        "answer = json.load(u.urlopen(request))\n"
        "print(u.urlopen(f'{url}/ping').status, answer['predictions'][0]['label'])"
    )
    try:
        asked = wait_for(
            lambda: (
                (
                    done := subprocess.run(
                        ["docker", "exec", "-i", name, "python", "-c", code],
                        input=photo(),
                        capture_output=True,
                        check=False,
                    )
                ).returncode
                == 0
                and done
            )
        )
        assert asked.stdout.decode().split() == ["200", "green"]
    finally:
        docker("rm", "-f", name)


def test_the_image_says_what_it_is(images):
    config = json.loads(docker("image", "inspect", "slipway-serve-mms").stdout)[0]["Config"]
    assert config["User"] == ""
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert (
        config["Labels"].items()
        >= {
            "org.opencontainers.image.title": "slipway-serve-mms",
            "com.amazonaws.sagemaker.capabilities.multi-models": "true",
            "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
        }.items()
    )
    assert (
        int(docker("image", "inspect", "--format", "{{.Size}}", "slipway-serve-mms").stdout) < 450e6
    )
    code = (
        "import importlib.util as u; "
        "print([n for n in ('torch', 'scipy', 'boto3', 'pip') if u.find_spec(n)])"
    )
    assert docker("run", "--rm", "slipway-serve-mms", "python", "-c", code).stdout == "[]\n"
