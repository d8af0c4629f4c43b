"""The image slipway-serve-mms in a real engine: multi-model-server as SageMaker runs it. Needs Docker."""

import base64
import http.client
import io
import json
import os
import pickle
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from conftest import COLOURS, trained  # noqa: F401
from local_test.engines import Containers, ping
from local_test.opt_ml import pack_model  # noqa: F401

pytestmark = pytest.mark.docker
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
READY_TIMEOUT_S = 60


def docker(*arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=check, **options)


@contextmanager
def container(*options: str, port: int = 8080) -> Iterator[tuple[str, str]]:
    """Name and URL of a running slipway-serve-mms."""
    name = f"slipway-mms-{os.getpid()}-{time.monotonic_ns()}"
    docker("run", "-d", "--name", name, "-p", f"127.0.0.1::{port}", *options, "slipway-serve-mms", "serve")
    try:
        yield name, "http://" + docker("port", name, f"{port}/tcp").stdout.split()[0]
    finally:
        docker("rm", "-f", name)


def model(folder: Path) -> list[str]:
    return ["-v", f"{folder}:/opt/ml/model:ro"]


def wait_for(what, timeout_s: float = READY_TIMEOUT_S):
    """The first truthy answer of a function; fails the test without one."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.02)
    return found


def ready(url: str) -> None:
    wait_for(lambda: ping(url) == 200)


def ask(url: str, body: bytes, headers: dict[str, str], path: str = "/invocations", method: str = "POST") -> tuple[int, str, bytes]:
    """Status, content type and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("content-type"), answer.read()
    finally:
        connection.close()


def photo(colour: str = "green", kind: str = "JPEG", size: tuple[int, int] = (50, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).save(buffer, kind)
    return buffer.getvalue()


def instances(*photos: bytes) -> bytes:
    return json.dumps({"instances": [{"b64": base64.b64encode(data).decode()} for data in photos]}).encode()


JPEG = {"Content-Type": "image/jpeg"}
REQUESTS = {
    "jpeg": (photo(), JPEG),
    "png": (photo("blue", "PNG"), {"Content-Type": "image/png"}),
    "any": (photo("red"), {"Content-Type": "application/x-image", "Accept": "*/*"}),
    "json": (instances(photo("red"), photo("blue")), {"Content-Type": "application/json; charset=utf-8"}),
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
    "one broken": (instances(photo(), b"hello"), {"Content-Type": "application/json"}),
    "broken json": (b"{", {"Content-Type": "application/json"}),
    "a little too large": (photo() + bytes(6 * 2**20), JPEG),
}


@pytest.fixture(scope="module")
def model_folder(trained) -> Path:  # noqa: F811
    for path in [trained.root, *trained.root.parents][:4]:  # for --user: pytest's folders are its user's alone
        path.chmod(path.stat().st_mode | 0o055)
    return trained.root / "model"


@pytest.fixture(scope="module")
def single(images, model_folder) -> Iterator[tuple[str, str]]:
    """Name and URL of a ready container with one model, as the hardest orchestrator runs it, with 1 GB of memory."""
    with container(*HARDENED, "--user", "1000:1000", "--memory", "1g", *model(model_folder)) as (name, url):
        ready(url)
        yield name, url


@pytest.fixture(scope="module")
def flask(images, model_folder) -> Iterator[str]:
    """The URL of slipway-serve over the same model."""
    with Containers(serve_image=images["serve"]).serve(model_folder) as url:
        yield url


@pytest.mark.parametrize("name", REQUESTS)
def test_both_serving_images_answer_alike(single, flask, name):
    body, headers = REQUESTS[name]
    status, content_type, answer = ask(single[1], body, headers)
    assert (status, content_type) == ask(flask, body, headers)[:2]
    expected = ask(flask, body, headers)[2]
    assert answer == expected or json.loads(answer) == json.loads(expected)
    assert status == 200 or list(json.loads(answer)) == ["error"]
