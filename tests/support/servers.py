"""Real servers for tests: `python -m serve` on a free port, photos to send, and answers."""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from artifact.photos.formats import register_heif
from runtime.ports import free_port
from runtime.probes import ping
from tests.support.jobs import COLOURS, REPOSITORY

START_S = 120.0  # until a server must be ready, on a machine that is busy with other tests


def photo(
    colour: str = "red", kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (50, 40)
) -> bytes:
    """An encoded photo of one colour."""
    if kind == "HEIF":
        register_heif()
    buffer = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def instances(*photos: bytes) -> bytes:
    return json.dumps({"instances": [{"b64": b64(data)} for data in photos]}).encode()


@dataclass
class Server:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case names) and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, names, answer.read()
        finally:
            connection.close()

    def invoke(
        self,
        body: bytes,
        content_type: str = "image/jpeg",
        path: str = "/invocations",
        **headers: str,
    ) -> tuple[int, Any]:
        """Status and JSON of an invocation."""
        status, _, answer = self.ask("POST", path, body, {"Content-Type": content_type, **headers})
        return status, json.loads(answer)

    def label(self, body: bytes) -> str:
        status, answer = self.invoke(body)
        assert status == 200, answer
        label: str = answer["predictions"][0]["label"]
        return label

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        pid = self.process.pid
        # The kernel's own list: gunicorn has no request that names its workers.
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]


@contextmanager
def serving(
    model: Path | None = None,
    program: Sequence[str] = ("serve",),
    log: Path | None = None,
    **environment: object,
) -> Iterator[Server]:
    """A ready server over a model folder, with these environment variables.

    log: gets what it prints. It must leave with 0 at SIGTERM.
    """
    port = free_port()
    variables = {
        **os.environ,
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "SLIPWAY_HOST": "127.0.0.1",
        **{name: str(value) for name, value in environment.items()},
    }
    if model:
        variables["SLIPWAY_MODEL_DIR"] = str(model)
    command = [sys.executable, "-m", *program]
    with log.open("wb") if log else nullcontext() as output:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=output)
    try:
        deadline = time.monotonic() + START_S
        while ping(f"http://127.0.0.1:{port}") != 200:
            # Without them the loop would wait for ever for a server that has ended, or hangs.
            assert process.poll() is None, "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server is not ready"
            time.sleep(0.02)
        yield Server(port, process)
        # A test may have ended the server itself.
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=25) == 0
    finally:
        process.kill()
        process.wait()
