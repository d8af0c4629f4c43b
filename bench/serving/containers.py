"""The Docker commands of the serving bench."""

import json
from pathlib import Path
from typing import TypedDict, cast

from runtime.docker import mount, output

BENCH = Path(__file__).resolve().parent.parent
PEERS_IMAGE = "slipway-bench-peers"


class BareEngine(TypedDict):
    """The answer of bench/serving/loop.py."""

    rate: float  # photos/s
    labels: dict[str, str]  # photo: top label


def docker(*arguments: str) -> str:
    """The command's output. RunError with its complaint when it fails."""
    return output(*arguments)


def build_peers() -> None:
    """Build the peers' image on slipway-train."""
    file = str(BENCH / "peers.Dockerfile")
    # The host's network: pip reaches the index as this machine does.
    options = ("--quiet", "--network=host", "--file", file, "--tag", PEERS_IMAGE)
    docker("build", *options, str(BENCH))


def image_bytes(image: str) -> int:
    """An image's size, as `docker images` counts it."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def bare_engine(model: Path, photos: Path, precision: str, seconds: float) -> BareEngine:
    """Our engine in a loop without a server, in the serving image."""
    loop = mount(BENCH / "serving" / "loop.py", "/loop.py")
    command = ["python", "/loop.py", precision, str(seconds)]
    mounts = [*_mounts(model, photos), loop]
    output = docker("run", "--rm", *mounts, "slipway-serve", *command)
    return cast(BareEngine, _last_json(output))


def reference_labels(model: Path, photos: Path) -> dict[str, dict[str, str]]:
    """For each photo, the top label by f32 torch, and by each other engine of torch."""
    mounts = _mounts(model, photos)
    output = docker("run", "--rm", *mounts, PEERS_IMAGE, "reference.py", "/photos")
    return cast(dict[str, dict[str, str]], _last_json(output))


def _last_json(output: str) -> object:
    """The last line: libraries print warnings before it."""
    return json.loads(output.splitlines()[-1])


def _mounts(model: Path, photos: Path) -> list[str]:
    return [mount(model, "/opt/ml/model"), mount(photos, "/photos")]
