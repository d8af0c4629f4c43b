"""The servers that are measured, each in its container.

Ours run as built, the peers as their users run them.
"""

import json
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.containers import PEERS_IMAGE, docker, last_words, processor_s
from runtime.docker import SHM_SIZE, call, is_running, mount, processes, remove
from runtime.load import Request
from runtime.watched import sample_of

START_TIMEOUT_S = 600  # Ray starts several processes, each of which imports torch
ASK_TIMEOUT_S = 180  # of the first request, for which multi-model-server loads the model
PAUSE_TRIES = 3
PHOTO = "photo"
BASE64 = "base64"
PHONE = "phone"
# how a photo is sent, and what it is
KINDS = {
    PHOTO: "500x375, JPEG",
    BASE64: "500x375, base64 in JSON",
    PHONE: "12 megapixels, JPEG",
}
Sender = Callable[[str, bytes], Request]  # a photo's name and bytes to a request


def jpeg(name: str, body: bytes) -> Request:
    """A photo as SageMaker's callers send it."""
    return Request(name, body)


def instances(name: str, body: bytes) -> Request:
    """A photo as base64, as TensorFlow Serving and KServe take it, and we."""
    text = json.dumps({"instances": [{"b64": b64encode(body).decode()}]})
    return Request(name, text.encode(), "application/json")


def image(name: str, body: bytes) -> Request:
    """A photo as base64, as examples of LitServe, BentoML and others take it."""
    text = json.dumps({"image": b64encode(body).decode()})
    return Request(name, text.encode(), "application/json")


def image_elsewhere(name: str, body: bytes) -> Request:
    """The same, at a path of its own."""
    return Request(name, image(name, body).body, "application/json", "/json")


EVERYTHING: dict[str, Sender] = {PHOTO: jpeg, BASE64: instances, PHONE: jpeg}


class NotStarted(RuntimeError):
    """A server that does not answer, and why."""


@dataclass
class Contestant:
    """One server. senders: how it takes each of KINDS; it takes no other."""

    name: str
    image: str
    command: list[str]
    senders: Mapping[str, Sender] = field(default_factory=lambda: EVERYTHING)
    environment: dict[str, str] = field(default_factory=dict)
    mounts: tuple[str, ...] = ()
    start_s: float = 0.0  # from docker run to the first right answer
    url: str = ""

    @property
    def container(self) -> str:
        """The container's name."""
        return f"slipway-bench-{self.name}"

    def start(self, model: Path, sample: bytes) -> None:
        """Start the container, wait until it answers a photo, and note the seconds.

        Raises NotStarted when it does not.
        """
        self.remove()
        started = time.monotonic()
        options = [
            "--detach",
            f"--name={self.container}",
            "--publish=127.0.0.1::8080",
            f"--shm-size={SHM_SIZE}",
            mount(model, "/opt/ml/model"),
            *self.mounts,
        ]
        options += [f"--env={name}={value}" for name, value in self.environment.items()]
        try:
            docker("run", *options, self.image, *self.command)
            self.url = f"http://{docker('port', self.container, '8080/tcp').split()[0]}"
            while not self._answers(sample):
                if not is_running(self.container):
                    raise NotStarted(last_words(self.container))
                if time.monotonic() - started > START_TIMEOUT_S:
                    late = f"no right answer came within {START_TIMEOUT_S} s"
                    raise NotStarted(f"{late}; {last_words(self.container)}")
                time.sleep(0.01)
        except RuntimeError as error:
            # also of a container that has ended before its port was asked for
            reason = error if isinstance(error, NotStarted) else self._why(error)
            raise NotStarted(str(reason)) from error
        self.start_s = time.monotonic() - started

    def _why(self, error: RuntimeError) -> str:
        """What Docker complains of, and the container's own words where there is one."""
        return f"{' '.join(str(error).split())}; {last_words(self.container)}"

    def remove(self) -> None:
        """Remove the container, paused or not."""
        remove(self.container)

    def pause(self) -> None:
        """Take the processor from it. Where the engine cannot, it idles on: nobody asks it."""
        for _ in range(PAUSE_TRIES):
            if not call("pause", self.container).returncode:
                return
            time.sleep(1)

    def unpause(self) -> None:
        """Give it the processor again; a server that goes on anyway is no error."""
        call("unpause", self.container)

    def pss_bytes(self) -> int:
        """Memory of all its processes, with each shared page divided among its users."""
        return sample_of(processes(self.container)).bytes

    def processor_s(self) -> float:
        """The processor seconds that it has used so far."""
        return processor_s(self.container)

    def logged(self, since: str) -> list[dict[str, float]]:
        """The log's entries of our answers since a moment."""
        lines = docker("logs", f"--since={since}", self.container).splitlines()
        return [json.loads(line) for line in lines if '"engine_ms"' in line]

    def _answers(self, sample: bytes) -> bool:
        """Whether it answers a photo with a label."""
        sender = self.senders.get(PHOTO) or self.senders[BASE64]
        request = sender("sample", sample)
        headers = {"Content-Type": request.content_type}
        asked = urllib.request.Request(self.url + request.path, request.body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=ASK_TIMEOUT_S) as answer:
                return bool(json.load(answer)["predictions"][0]["label"])
        except (OSError, ValueError, KeyError, IndexError):
            return False


def null_server() -> Contestant:
    """A server that does nothing with a photo, in the same setting as the others."""
    program = mount(Path(__file__).with_name("null_server.py"), "/null_server.py")
    command = ["python", "/null_server.py"]
    return Contestant("null", "slipway-serve", command, {PHOTO: jpeg}, mounts=(program,))


def contestants(cores: int) -> list[Contestant]:
    """Ours in both precisions, peers around our engine, and peers around eager torch."""
    servers = []
    for precision in ("bf16", "int8"):
        server = Contestant(f"slipway-{precision}", "slipway-serve", ["serve"])
        server.environment["SLIPWAY_PRECISION"] = precision
        servers.append(server)
    replicas = {"PEER_REPLICAS": str(cores)}
    json_only: dict[str, Sender] = {BASE64: image}
    everything = EVERYTHING | {BASE64: image}
    bentoml = EVERYTHING | {BASE64: image_elsewhere}
    engine = replicas | {"SLIPWAY_PRECISION": "int8"}
    torch = {"PEER_ENGINE": "torch"}
    # By default a worker that imports torch and loads the model for over 60 s is ended, and anew.
    patience = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": str(START_TIMEOUT_S)}
    workers = {"SAGEMAKER_MODEL_SERVER_WORKERS": str(cores), **patience}
    file = "serve_litserve.py"
    return [
        *servers,
        Contestant("ray-int8", "slipway-bench-ray-engine", ["serve_ray.py"], everything, engine),
        Contestant("litserve-int8", "slipway-bench-litserve", [file], json_only, engine),
        Contestant("bentoml-int8", "slipway-bench-bentoml", ["serve_bentoml.py"], bentoml, engine),
        Contestant("ray", "slipway-bench-ray", ["serve_ray.py"], everything, replicas | torch),
        Contestant("mms", PEERS_IMAGE, ["serve_mms.py"], everything, workers),
        Contestant("litserve", PEERS_IMAGE, [file], json_only, torch),
    ]
