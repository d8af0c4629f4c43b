"""The servers that are measured, each in its container.

Ours run as built, the peers as their users run them.
"""

import json
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.containers import PEERS_IMAGE, docker
from runtime.docker import mount, remove
from runtime.load import Request

START_TIMEOUT_S = 180


def jpeg(name: str, body: bytes) -> Request:
    """A photo as SageMaker's callers send it."""
    return Request(name, body)


def base64_json(name: str, body: bytes) -> Request:
    """A photo as LitServe's users send it."""
    text = json.dumps({"image": b64encode(body).decode()})
    return Request(name, text.encode(), "application/json", "/predict")


@dataclass
class Contestant:
    """One server."""

    name: str
    image: str
    command: list[str]
    request: Callable[[str, bytes], Request] = jpeg  # a photo as it takes photos
    environment: dict[str, str] = field(default_factory=dict)
    # a path that answers 200 when the server is ready; None: only an answer to a photo shows it
    ready: str | None = "/ping"
    start_s: float = 0.0
    url: str = ""

    @property
    def container(self) -> str:
        """The container's name."""
        return f"slipway-bench-{self.name}"

    def start(self, model: Path, sample: bytes) -> None:
        """Start the container, wait until it answers, and note the seconds.

        RuntimeError when it does not.
        """
        self.remove()
        started = time.monotonic()
        options = [
            "--detach",
            f"--name={self.container}",
            "--publish=127.0.0.1::8080",
            mount(model, "/opt/ml/model"),
        ]
        options += [f"--env={name}={value}" for name, value in self.environment.items()]
        docker("run", *options, self.image, *self.command)
        self.url = f"http://{docker('port', self.container, '8080/tcp').split()[0]}"
        while not self._answers(sample):
            if time.monotonic() - started > START_TIMEOUT_S or not self._runs():
                end = docker("logs", "--tail=5", self.container)
                raise RuntimeError(f"{self.name} did not start: {end}")
            time.sleep(0.01)
        self.start_s = time.monotonic() - started

    def remove(self) -> None:
        """Remove the container, paused or not."""
        remove(self.container)

    def pause(self) -> None:
        """Take the processor from it."""
        docker("pause", self.container)

    def unpause(self) -> None:
        docker("unpause", self.container)

    def pss_bytes(self) -> int:
        """Memory of all its processes, with each shared page divided among its users."""
        total = 0
        for pid in docker("top", self.container, "-o", "pid").split()[1:]:
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:  # MMS starts short helpers again and again
                continue
            sizes = [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
            total += sizes[0] * 1024  # smaps_rollup counts in KiB
        return total

    def _runs(self) -> bool:
        state = docker("inspect", "--format", "{{.State.Running}}", self.container)
        return state.strip() == "true"

    def _answers(self, sample: bytes) -> bool:
        if self.ready:
            asked = urllib.request.Request(self.url + self.ready)
        else:
            request = self.request("sample", sample)
            headers = {"Content-Type": request.content_type}
            asked = urllib.request.Request(self.url + request.path, request.body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def contestants(cores: int) -> list[Contestant]:
    """Ours in both precisions, and both peers."""
    servers = []
    for precision in ("bf16", "int8"):
        server = Contestant(f"slipway-{precision}", "slipway-serve", ["serve"])
        server.environment["SLIPWAY_PRECISION"] = precision
        servers.append(server)
    # MMS's /ping answers 200 before the model is loaded
    mms = Contestant("mms", PEERS_IMAGE, ["serve_mms.py"], ready=None)
    mms.environment["SAGEMAKER_MODEL_SERVER_WORKERS"] = str(cores)
    litserve = Contestant("litserve", PEERS_IMAGE, ["serve_litserve.py"], base64_json, ready=None)
    return [*servers, mms, litserve]
