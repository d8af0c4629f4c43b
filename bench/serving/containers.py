"""The Docker commands of the serving bench."""

import json
from pathlib import Path
from typing import TypedDict, cast

from runtime.docker import call, image_exists, mount, output, processes

BENCH = Path(__file__).resolve().parent.parent
PEERS_IMAGE = "slipway-bench-peers"
# peers with an image of their own: the image, whose requirements, on which image
OWN_IMAGES = (
    ("slipway-bench-ray", "ray", "slipway-train"),
    ("slipway-bench-ray-engine", "ray", "slipway-serve"),
    ("slipway-bench-litserve", "litserve", "slipway-serve"),
    ("slipway-bench-bentoml", "bentoml", "slipway-serve"),
)
STAND_IN = "slipway-base:trixie"  # of the base image, as `make base` makes it
CGROUPS = Path("/sys/fs/cgroup")
LOG_LINES = 15  # of a container that does not start


class BareEngine(TypedDict):
    """The answer of bench/serving/loop.py."""

    rate: float  # photos/s
    p50_ms: float  # of one photo
    labels: dict[str, str]  # photo: top label


def docker(*arguments: str) -> str:
    """The command's output. RunError with its complaint when it fails."""
    return output(*arguments)


def build_peers() -> dict[str, str]:
    """Build the peers' images, on slipway-train and slipway-serve.

    Returns why some could not be built, by image.
    """
    failed = {PEERS_IMAGE: build_torch_peers()}
    for image, peer, base in OWN_IMAGES:
        arguments = (f"--build-arg=PEER={peer}", f"--build-arg=BASE={base}:latest", base_image())
        failed[image] = _build("one-peer.Dockerfile", image, *arguments)
    return {image: reason for image, reason in failed.items() if reason}


def build_torch_peers() -> str:
    """Build the image of multi-model-server and LitServe; why it could not be, "" where it was."""
    return _build("peers.Dockerfile", PEERS_IMAGE)


def base_image() -> str:
    """The option that names the stand-in of the base image, where there is one."""
    name = STAND_IN if image_exists(STAND_IN) else "debian:trixie-slim"
    return f"--build-arg=BASE_IMAGE={name}"


def _build(file: str, image: str, *arguments: str) -> str:
    """Why an image could not be built; "" where it was."""
    # The host's network: pip reaches the index as this machine does.
    options = ("--quiet", "--network=host", "--file", str(BENCH / file), "--tag", image)
    try:
        docker("build", *options, *arguments, str(BENCH))
    except RuntimeError as error:
        return f"its image cannot be built: {error}"
    return ""


def image_bytes(image: str) -> int:
    """An image's size, as `docker images` counts it."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def last_words(name: str) -> str:
    """Why a container does not answer: its state, and the end of what it has printed."""
    template = (
        "{{.State.Status}}, code {{.State.ExitCode}}, killed for memory: {{.State.OOMKilled}}"
    )
    state = call("inspect", "--format", template, name).stdout.strip() or "no container"
    logs = call("logs", f"--tail={LOG_LINES}", name)
    # a server's reason is on either stream
    lines = (logs.stdout + logs.stderr).splitlines()
    said = [" ".join(line.split()) for line in lines if line.strip()]
    return f"{state}; it printed: {' / '.join(said) or 'nothing'}"


def processor_s(name: str) -> float:
    """The processor seconds that a container has used so far; nan where they are not known."""
    try:
        [pid] = processes(name)[:1]
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        for line in lines:
            _, controllers, path = line.split(":", 2)
            place = path.lstrip("/")
            if not controllers and (stat := CGROUPS / place / "cpu.stat").is_file():
                return int(stat.read_text().split()[1]) / 1e6  # usage_usec
            if "cpuacct" in controllers:
                return int((CGROUPS / "cpuacct" / place / "cpuacct.usage").read_text()) / 1e9
    except (OSError, ValueError):
        pass  # the container has just ended, or the engine runs on another machine
    return float("nan")


def bare_engine(
    model: Path, photos: Path, precision: str, seconds: float, threads: int | None = None
) -> BareEngine:
    """Our engine in a loop without a server, in the serving image."""
    loop = mount(BENCH / "serving" / "loop.py", "/loop.py")
    command = ["python", "/loop.py", precision, str(seconds)]
    if threads:
        command.append(str(threads))
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
