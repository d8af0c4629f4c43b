"""Containers of slipway-serve-mms, and requests to them."""

import base64
import http.client
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

from runtime.probes import ping
from tests.support.jobs import COLOURS

# As a cautious user runs it.
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
READY_TIMEOUT_S = 240


def docker(*arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, check=check, **options
    )


@contextmanager
def container(
    *options: str, port: int = 8080, image: str = "slipway-serve-mms"
) -> Iterator[tuple[str, str]]:
    """Name and URL of a running server of an image."""
    # The clock keeps the containers of one test process apart.
    name = f"slipway-mms-{os.getpid()}-{time.monotonic_ns()}"
    docker(
        "run",
        "-d",
        "--name",
        name,
        "-p",
        f"127.0.0.1::{port}",
        # The engine chooses the host's port, so that no other test can have it.
        *options,
        image,
        "serve",
    )
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


def ask(
    url: str, body: bytes, headers: dict[str, str], path: str = "/invocations", method: str = "POST"
) -> tuple[int, str | None, bytes]:
    """Status, content type and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=240)
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
    return json.dumps(
        {"instances": [{"b64": base64.b64encode(data).decode()} for data in photos]}
    ).encode()


def workers(name: str) -> list[str]:
    """Process ids of MMS's Python processes on the host: the parents, then their workers."""
    rows = [
        # The first row is the heading; arguments hold spaces, the process id does not.
        row.split(None, 1)
        for row in docker("top", name, "-eo", "pid,args").stdout.splitlines()[1:]
    ]
    return [pid for pid, arguments in rows if "model_service_worker" in arguments]


def kill(pids: list[str]) -> None:
    for pid in pids:
        os.kill(int(pid), 9)


def manage(url: str, method: str, path: str = "", document: dict | None = None) -> tuple[int, dict]:
    status, _, answer = ask(
        url,
        json.dumps(document).encode() if document else b"",
        {"Content-Type": "application/json"},
        f"/models{path}",
        method,
    )
    return status, json.loads(answer or b"{}")


def load(url: str, name: str, folder: str) -> int:
    return manage(
        url, "POST", document={"model_name": name, "url": f"/opt/ml/models/{folder}/model"}
    )[0]
