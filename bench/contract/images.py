"""The images of `make conformance-peers`: their patterns, how they are built, and what they serve.

All but ours serve the same small model, linear.npy: scores of three classes from four numbers.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.serving.containers import BENCH, PEERS_IMAGE, base_image, build_torch_peers
from runtime.docker import image_description, image_exists, mount, output
from runtime.errors import RunError
from tests.support.colour_model import write_colour_model

WEIGHTS = np.array(
    [[0.2, 0.3, -0.1], [0.5, -0.1, 0.2], [-0.7, 0.4, 0.5], [-0.3, 0.1, 0.8]], np.float32
)  # float32 [numbers, classes]
ROW = [5.1, 3.5, 1.4, 0.2]
CSV = (",".join(str(value) for value in ROW) + "\n").encode()
INSTANCES = json.dumps({"instances": [ROW]}).encode()
MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"
BIND = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
FILES = "slipway.peer-files"  # a label: the digest of what an image is made of
OWN = "slipway"  # the name of our own image, beside the others


@dataclass(frozen=True)
class Peer:
    """A pattern, and the sample that its image is asked.

    lock: the requirements of its image; place: where its code lies in it; labels: of its image.
    """

    name: str
    title: str
    sample: bytes = CSV
    content_type: str = "text/csv"
    lock: str = ""
    place: str = "/opt/program"
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> str:
        if self.name == OWN:
            return "slipway-serve"
        return f"slipway-peer-{self.name}"


PEERS = (
    Peer(OWN, "Slipway"),
    Peer("ray", "Ray Serve", INSTANCES, "application/json", "ray"),
    Peer("mlflow", "MLflow", lock="mlflow"),
    Peer(
        "creator",
        "ml-container-creator",
        INSTANCES,
        "application/json",
        "flask",
        "/opt/ml/code",
        {MULTI_MODEL: "true", BIND: "true"},
    ),
    Peer("flask", "Flask and nginx", lock="flask"),
    Peer("mms", "multi-model-server"),
)


def build(peer: Peer) -> None:
    """Build a peer's image, unless it is there. RunError where that fails. Ours is there already.

    An image that is there of other files is built anew.
    """
    if peer.name == OWN or _is_built(peer):
        return
    if peer.name == "mms":
        if not image_exists(PEERS_IMAGE) and (reason := build_torch_peers()):
            raise RunError(reason)
        _build(peer, "contract-mms.Dockerfile", [])
        return
    arguments = {"PEER": peer.name, "LOCK": peer.lock, "PLACE": peer.place}
    options = [base_image()]
    options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    options += [f"--label={name}={value}" for name, value in peer.labels.items()]
    _build(peer, "contract.Dockerfile", options)


def _build(peer: Peer, file: str, options: list[str]) -> None:
    # the host's network: pip reaches the index as this machine does
    common = ("--quiet", "--network=host", "--file", str(BENCH / file), "--tag", peer.image)
    output("build", *common, *options, f"--label={FILES}={_files(peer)}", str(BENCH))


def _is_built(peer: Peer) -> bool:
    if not image_exists(peer.image):
        return False
    labels = image_description(peer.image)["Config"].get("Labels") or {}
    return labels.get(FILES) == _files(peer)


def _files(peer: Peer) -> str:
    """A digest of the files that a peer's image is made of."""
    paths = sorted(path for path in (BENCH / "contract" / peer.name).rglob("*") if path.is_file())
    paths += sorted(BENCH.glob("contract*.Dockerfile"))
    if peer.lock:
        paths.append(BENCH / f"requirements-{peer.lock}.txt")
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def model_of(peer: Peer, work: Path) -> Path:
    """A folder with the model that a peer serves, as its users bring it."""
    folder = work / "given"
    folder.mkdir()
    if peer.name == OWN:
        write_colour_model(folder)
        return folder
    np.save(folder / "linear.npy", WEIGHTS)
    if peer.name != "mlflow":
        return folder
    saved = work / "saved"
    saved.mkdir()
    output(
        *("run", "--rm", "--entrypoint=/opt/venv/bin/python"),
        *(mount(folder, "/given"), mount(saved, "/saved", writable=True)),
        *(peer.image, "/opt/program/make_model.py", "/given/linear.npy", "/saved/model"),
    )
    shutil.rmtree(folder)
    return saved / "model"
