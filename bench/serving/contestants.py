"""The servers that are measured, each in its container: ours as built, the peers as their users run them."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runtime.load import Request

PEERS_IMAGE = "slipway-bench-peers"
START_TIMEOUT_S = 180
BENCH = Path(__file__).resolve().parent.parent


def jpeg(name: str, body: bytes) -> Request:
    """A photo as SageMaker's callers send it."""
    return Request(name, body)


def base64_json(name: str, body: bytes) -> Request:
    """A photo as LitServe's users send it."""
    return Request(
        name,
        json.dumps({"image": b64encode(body).decode()}).encode(),
        "application/json",
        "/predict",
    )


@dataclass
class Contestant:
    """One server. request: a photo in its dialect. ready: a path whose 200 says that it answers; None where only an answer says so."""

    name: str
    image: str
    command: list[str]
    request: Callable[[str, bytes], Request] = jpeg
    environment: dict[str, str] = field(default_factory=dict)
    ready: str | None = "/ping"
    start_s: float = 0.0
    url: str = ""

    @property
    def container(self) -> str:
        """The container's name."""
        return f"slipway-bench-{self.name}"

    def start(self, model: Path, sample: bytes) -> None:
        """Start the container, wait until it answers, and note the seconds. RuntimeError when it does not."""
        self.remove()
        started = time.monotonic()
        variables = [f"--env={name}={value}" for name, value in self.environment.items()]
        docker(
            "run",
            "--detach",
            "--name",
            self.container,
            "--publish=127.0.0.1::8080",
            f"--volume={model}:/opt/ml/model:ro",
            *variables,
            self.image,
            *self.command,
        )
        self.url = f"http://{docker('port', self.container, '8080/tcp').split()[0]}"
        while not self._answers(sample):
            if (
                time.monotonic() - started > START_TIMEOUT_S
                or docker("inspect", "--format", "{{.State.Running}}", self.container).strip()
                != "true"
            ):
                raise RuntimeError(
                    f"{self.name} did not start: {docker('logs', '--tail=5', self.container)}"
                )
            time.sleep(0.01)
        self.start_s = time.monotonic() - started

    def remove(self) -> None:
        """Remove the container, paused or not."""
        subprocess.run(
            ["docker", "rm", "--force", self.container], capture_output=True, check=False
        )

    def pause(self) -> None:
        """Take the processor from it."""
        docker("pause", self.container)

    def unpause(self) -> None:
        docker("unpause", self.container)

    def pss_bytes(self) -> int:
        """Memory of all its processes, shared pages in proportion."""
        total = 0
        for pid in docker("top", self.container, "-o", "pid").split()[1:]:
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:  # MMS starts short helpers again and again
                continue
            total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        return total

    def _answers(self, sample: bytes) -> bool:
        request = self.request("sample", sample)
        asked = urllib.request.Request(
            self.url + (self.ready or request.path),
            None if self.ready else request.body,
            {"Content-Type": request.content_type},
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status == 200
        except OSError:
            return False


def contestants(cores: int) -> list[Contestant]:
    """Ours in both precisions, and both peers."""
    return [
        Contestant(
            "slipway-bf16", "slipway-serve", ["serve"], environment={"SLIPWAY_PRECISION": "bf16"}
        ),
        Contestant(
            "slipway-int8", "slipway-serve", ["serve"], environment={"SLIPWAY_PRECISION": "int8"}
        ),
        # its /ping answers 200 before the model is loaded
        Contestant(
            "mms",
            PEERS_IMAGE,
            ["serve_mms.py"],
            environment={"SAGEMAKER_MODEL_SERVER_WORKERS": str(cores)},
            ready=None,
        ),
        Contestant("litserve", PEERS_IMAGE, ["serve_litserve.py"], base64_json, ready=None),
    ]


def bare_engine(model: Path, photos: Path, precision: str, seconds: float) -> dict:
    """Our engine in a loop without a server, in the serving image: {"rate": photos/s, "labels": {photo: top label}}."""
    return json.loads(
        docker(
            "run",
            "--rm",
            f"--volume={model}:/opt/ml/model:ro",
            f"--volume={photos}:/photos:ro",
            f"--volume={BENCH / 'serving' / 'loop.py'}:/loop.py:ro",
            "slipway-serve",
            "python",
            "/loop.py",
            precision,
            str(seconds),
        ).splitlines()[-1]
    )


def reference_labels(model: Path, photos: Path) -> dict[str, dict[str, str]]:
    """Of each photo the top label by f32 torch, and by what else torch runs."""
    return json.loads(
        docker(
            "run",
            "--rm",
            f"--volume={model}:/opt/ml/model:ro",
            f"--volume={photos}:/photos:ro",
            PEERS_IMAGE,
            "reference.py",
            "/photos",
        ).splitlines()[-1]
    )


def build_peers() -> None:
    """Build the peers' image on slipway-train."""
    subprocess.run(
        [
            "docker",
            "build",
            "--quiet",
            "--network=host",
            "--file",
            BENCH / "peers.Dockerfile",
            "--tag",
            PEERS_IMAGE,
            BENCH,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def image_bytes(image: str) -> int:
    """As `docker images` counts it."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def docker(*arguments: str) -> str:
    """What the command printed. RuntimeError with what it complained of."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"docker {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
