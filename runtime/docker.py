"""The one client of the container engine: `docker` or `podman`, and what its commands print.

It knows images, containers and networks; it knows nothing of trainings and endpoints.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_interface
from pathlib import Path
from typing import IO, Any

from artifact.text.json_text import read_json
from runtime.engine_facts import facts
from runtime.errors import RunError

# Variables of every container. Without a value here, `run` passes on the caller's own. A
# container then takes as many threads as a process would: on a busy machine, the threads of one
# step otherwise wait for each other many times longer.
THREADS = ("--env", "OMP_NUM_THREADS")
ARCHITECTURE = "ARCH"  # the variable that docker/build.sh reads
SHM_SIZE = "2g"  # of /dev/shm, where workers of a training share their memory
SERVING_PORT = 8080  # of a container: SageMaker's guide, "How containers serve requests"


def call(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command of `docker` to its end, and keep what it prints."""
    return subprocess.run(
        [facts().program, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def output(*arguments: str) -> str:
    """What a command prints. RunError when it fails."""
    done = call(*arguments)
    if done.returncode:
        said = done.stderr.strip()[-500:]
        raise RunError(f"{facts().program} {arguments[0]} failed: {said}")
    return done.stdout


def output_or_nothing(*arguments: str) -> str:
    """What a command prints; "" when it fails, as it does for a container that has just ended."""
    return call(*arguments).stdout.strip()


def answers() -> bool:
    """Whether a container engine can be reached."""
    return facts().answers


# --- options of `docker run` ---


def identity() -> list[str]:
    """The user of a container: root as on SageMaker, or an ordinary user's own identity.

    An ordinary user must own what the container writes. In a rootless engine the container's root
    is that user, and every other identity in the container is a stranger to the user's files.
    """
    if os.getuid() == 0 or facts().rootless:
        return []
    return ["--user", f"{os.getuid()}:{os.getgid()}"]


def all_gpus() -> list[str]:
    """The option that gives a container all GPUs; none where the engine has none."""
    return list(facts().gpus)


def one_gpu(number: int | str) -> list[str]:
    """The option that gives a container one GPU."""
    if facts().podman:
        return [f"--device=nvidia.com/gpu={number}"]
    return ["--gpus", f"device={number}"]


def mount(source: Path, target: str, writable: bool = False) -> str:
    """The option that mounts a file or a folder, which must be there. Its path may be any."""
    # A line of CSV. --volume would take a colon in the path for its own.
    path = str(source.absolute()).replace('"', '""')
    options = f'--mount=type=bind,"src={path}",dst={target}'
    if writable:
        return options
    return f"{options},readonly"


def excepted_from_proxies() -> str:
    """The hosts that the Docker client's configuration keeps from the proxy of its containers.

    "" where it sets none. Source: Docker's guide, "Use a proxy server with the Docker CLI".
    """
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        configuration = read_json((folder / "config.json").read_text(encoding="utf-8"))
        return str(configuration["proxies"]["default"]["noProxy"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return ""


def run_command(image: str, arguments: list[str], name: str, options: list[str]) -> list[str]:
    """The command line of `docker run` for a named container, which is removed when it ends."""
    return [
        *(facts().program, "run", "--rm", "--name", name),
        *facts().confinement,
        *identity(),
        *THREADS,
        *options,
        image,
        *arguments,
    ]


# --- images ---


def own_image(name: str) -> str:
    """This checkout's image of that name, such as slipway-train; the name where there is none.

    Another checkout on the same engine moves the tag latest, but not this checkout's. An engine on
    Arm runs the build for Arm, where there is one; the other one would be emulated.
    """
    if not answers():
        return name
    wanted = os.environ.get(ARCHITECTURE, "engine")
    if wanted == "engine":
        wanted = facts().architecture
    suffixes = ("-arm64", "") if wanted == "arm64" else ("",)
    for suffix in suffixes:
        tagged = f"{name}:{facts().checkout}{suffix}"
        if image_exists(tagged):
            return tagged
    return name


def image_exists(image: str) -> bool:
    return call("image", "inspect", image).returncode == 0


def image_description(image: str) -> dict[str, Any]:
    """The JSON of `docker image inspect`. RunError when the engine does not have the image."""
    found = call("image", "inspect", image)
    if found.returncode:
        raise RunError(f"{facts().program} has no image '{image}' here; build or pull it")
    description: dict[str, Any] = json.loads(found.stdout)[0]
    return description


def image_history(image: str) -> list[str]:
    """The commands that built an image, the newest first."""
    return call("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout.splitlines()


@contextmanager
def saved_image(image: str) -> Iterator[IO[bytes]]:
    """The archive of an image's layers, as a stream."""
    process = subprocess.Popen(
        [facts().program, "save", image], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None  # it was asked for above
    try:
        yield process.stdout
    finally:
        process.kill()
        process.communicate()


def images_named(reference: str) -> list[str]:
    """Names and tags of the images that match a pattern, such as localhost:5000/*."""
    wanted = ("--filter", f"reference={reference}")
    return output("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", *wanted).splitlines()


# --- containers ---


def published_url(name: str, port: int = SERVING_PORT) -> str | None:
    """The URL on this machine of a container's port; None while that is not known."""
    published = output_or_nothing("port", name, f"{port}/tcp").split()
    if not published:
        return None
    return f"http://{published[0]}"


def address(name: str) -> str:
    """A container's address in its network; "" where it has none."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return output_or_nothing("inspect", "--format", template, name)


def container_id(name: str) -> str:
    return output_or_nothing("inspect", "--format", "{{.Id}}", name)


def is_running(name: str) -> bool:
    return output_or_nothing("inspect", "--format", "{{.State.Running}}", name) == "true"


def exit_code(name: str) -> int:
    """The exit code of an ended container. RunError when it is gone."""
    return int(output("inspect", "--format", "{{.State.ExitCode}}", name))


def processes(name: str) -> list[int]:
    """A container's processes as this machine numbers them, the first one first."""
    columns = ["hpid"] if facts().podman else ["-o", "pid"]
    shown = output_or_nothing("top", name, *columns).splitlines()
    return sorted(int(line) for line in shown[1:])


def changed_paths(name: str) -> list[str]:
    """Paths in a container's file system that it made or changed."""
    shown = output_or_nothing("diff", name).splitlines()
    return [line[2:] for line in shown if line]


def last_lines(name: str, count: int = 5) -> str:
    """The last lines that a container printed."""
    return output_or_nothing("logs", f"--tail={count}", name)


def stop(name: str, grace_s: int) -> None:
    """SIGTERM, and SIGKILL after the grace. It returns when the container has ended."""
    call("stop", f"--time={grace_s}", name)


def terminate(name: str) -> None:
    """SIGTERM, even where the image names another signal to stop by. It does not wait."""
    call("kill", "--signal=TERM", name)


def remove(*names: str) -> None:
    """Kill containers and remove them with their volumes. It may be called for removed ones."""
    if names:
        at_once = ["--time=0"] if facts().podman else []  # as docker does
        call("rm", "--force", "--volumes", *at_once, *names)


def containers_with_mount(path: str) -> list[str]:
    """Names of the containers with a folder mounted whose path contains this one."""
    everything = output_or_nothing("ps", "--all", "--quiet", "--no-trunc").split()
    if not everything:
        return []
    template = "{{json .Name}}\t{{json .Mounts}}"
    found = []
    for line in output_or_nothing("inspect", "--format", template, *everything).splitlines():
        name, mounts = (json.loads(text) for text in line.split("\t"))
        if any(path in mounted.get("Source", "") for mounted in mounts):
            found.append(name.removeprefix("/"))
    return found


# --- networks, and what carries a label ---


def make_network(name: str, label: str, internal: bool) -> None:
    """A network with a label. internal: without a way out. RunError when the engine refuses."""
    options = ["--internal"] if internal else []
    done = call("network", "create", "--label", label, *options, name)
    if done.returncode:
        raise RunError(f"the network '{name}' cannot be made: {done.stderr.strip()}")


def remove_network(name: str) -> None:
    call("network", "rm", name)


def networks_with_label(label: str) -> list[str]:
    wanted = ("--filter", f"label={label}")
    return output("network", "ls", "--format", "{{.Name}}", *wanted).splitlines()


def gateway() -> str:
    """The address of this machine on the network that containers are on by default; "" if none."""
    template = "{{range .IPAM.Config}}{{.Gateway}} {{.Subnet}} {{end}}"
    network = "bridge"
    if facts().podman:
        template = "{{range .Subnets}}{{.Gateway}} {{.Subnet}} {{end}}"
        network = "podman"
    shown = output_or_nothing("network", "inspect", network, "--format", template).split()
    if not shown or "/" not in shown[0]:
        return "".join(shown[:1])
    # Until Docker's second start it shows the subnet alone. Source: moby, issue 26799.
    subnet = ip_interface(shown[0])
    if subnet.ip != subnet.network[0]:  # as --bip has it
        return str(subnet.ip)
    return str(subnet.network[1])


def sweep(label: str) -> None:
    """Remove all containers and networks that carry a label."""
    wanted = ("--quiet", "--filter", f"label={label}")
    remove(*output_or_nothing("ps", "--all", *wanted).split())
    networks = output_or_nothing("network", "ls", *wanted).split()
    if networks:
        call("network", "rm", *networks)
