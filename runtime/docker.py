"""The one client of the Docker engine: the `docker` program, and what its commands print.

It knows images, containers and networks; it knows nothing of trainings and endpoints.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from runtime.errors import RunError

# Variables of every container. Without a value here, `docker run` passes on the caller's own. A
# container then takes as many threads as a process would: on a busy machine, the threads of one
# step otherwise wait for each other many times longer.
THREADS = ("--env", "OMP_NUM_THREADS")
SHM_SIZE = "2g"  # of /dev/shm, where workers of a training share their memory
SERVING_PORT = 8080  # of a container: SageMaker's guide, "How containers serve requests"


def call(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command of `docker` to its end, and keep what it prints."""
    return subprocess.run(
        ["docker", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def output(*arguments: str) -> str:
    """What a command prints. RunError when it fails."""
    done = call(*arguments)
    if done.returncode:
        raise RunError(f"docker {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def output_or_nothing(*arguments: str) -> str:
    """What a command prints; "" when it fails, as it does for a container that has just ended."""
    return call(*arguments).stdout.strip()


def answers() -> bool:
    """Whether a Docker engine can be reached."""
    return bool(shutil.which("docker")) and call("info").returncode == 0


# --- options of `docker run` ---


def identity() -> list[str]:
    """The user of a container: root as on SageMaker, or an ordinary user's own identity.

    An ordinary user must own what the container writes.
    """
    if os.getuid() == 0:
        return []
    return ["--user", f"{os.getuid()}:{os.getgid()}"]


def all_gpus() -> list[str]:
    """The option that gives a container all GPUs; none where the engine has none."""
    runtimes = call("info", "--format", "{{json .Runtimes}}").stdout or "{}"
    if "nvidia" in json.loads(runtimes):
        return ["--gpus", "all"]
    return []


def run_command(image: str, arguments: list[str], name: str, options: list[str]) -> list[str]:
    """The command line of `docker run` for a named container, which is removed when it ends."""
    return [
        *("docker", "run", "--rm", "--name", name),
        *identity(),
        *THREADS,
        *options,
        image,
        *arguments,
    ]


# --- images ---


def image_exists(image: str) -> bool:
    return call("image", "inspect", image).returncode == 0


def image_description(image: str) -> dict[str, Any]:
    """The JSON of `docker image inspect`. RunError when the engine does not have the image."""
    found = call("image", "inspect", image)
    if found.returncode:
        raise RunError(f"the Docker engine here has no image '{image}'; build or pull it")
    description: dict[str, Any] = json.loads(found.stdout)[0]
    return description


def image_history(image: str) -> list[str]:
    """The commands that built an image, the newest first."""
    return call("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout.splitlines()


@contextmanager
def saved_image(image: str) -> Iterator[IO[bytes]]:
    """The archive of an image's layers, as a stream."""
    process = subprocess.Popen(
        ["docker", "save", image], stdout=subprocess.PIPE, stderr=subprocess.PIPE
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
    shown = output_or_nothing("top", name, "-o", "pid").splitlines()
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
        call("rm", "--force", "--volumes", *names)


def containers_with_mount(path: str, field: str = "ID") -> list[str]:
    """Containers with a folder mounted whose path contains this one. field: ID or Names."""
    template = f"{{{{.{field}}}}}\t{{{{.Mounts}}}}"
    shown = output_or_nothing("ps", "--all", "--no-trunc", "--format", template)
    found = []
    for line in shown.splitlines():
        container, _, mounts = line.partition("\t")
        if path in mounts:
            found.append(container)
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
    template = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    addresses = output_or_nothing("network", "inspect", "bridge", "--format", template).split()
    if not addresses:
        return ""
    return addresses[0]


def sweep(label: str) -> None:
    """Remove all containers and networks that carry a label."""
    wanted = ("--quiet", "--filter", f"label={label}")
    remove(*output_or_nothing("ps", "--all", *wanted).split())
    networks = output_or_nothing("network", "ls", *wanted).split()
    if networks:
        call("network", "rm", *networks)
