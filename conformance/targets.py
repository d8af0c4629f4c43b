"""What is examined: an image in the Docker engine, or a program of this machine in its place.

Either is started in a Sandbox.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.clauses import NotApplicable, Settled
from runtime import docker, processes
from runtime.container_engine import DockerEngine, RunSpec, loopback_hosts, loopback_rendezvous
from runtime.errors import RunError
from runtime.instances import Instance
from runtime.ports import free_port
from runtime.probes import is_reached

SANDBOX = Path(__file__).with_name("sandbox.py")
SHM_MB = 2048
# of the platform's containers: where the credentials of the job's role are asked for
CREDENTIALS = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/conformance"}
NOT_INHERITED = ("AWS_", "SAGEMAKER_", "SM_", "TRAINING_JOB_", "PYTHONSAFEPATH")  # hide faults
PORT = docker.SERVING_PORT
HOST = "algo-1"


@dataclass(frozen=True)
class Sandbox:
    """The place that a program runs in; the default is as open as the contract lets it be.

    read_only: folders, below the one that is mounted; host, network: name and network of a
    container; entrypoint, arguments: as CreateTrainingJob's.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    credentials: bool = True
    outside: bool = True  # whether there is a network
    read_only: tuple[str, ...] = ()
    read_only_root: bool = False
    shm_mb: int = SHM_MB
    user: int = 0
    memory_mb: int = 0  # 0: without a bound
    port: int = PORT
    host: str = HOST
    network: str = ""
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    mounts: tuple[tuple[Path, str], ...] = ()  # of a container: files, and what they hide

    def variables(self) -> dict[str, str]:
        credentials = CREDENTIALS if self.credentials else {}
        return {**credentials, "AWS_REGION": "eu-west-1", **self.environment}


class Image:
    """An image in the Docker engine."""

    kind = "image"
    interface = DockerEngine.interface

    def __init__(self, uri: str, state: Path) -> None:
        self.name = uri
        self.near = False  # whether containers' own addresses are reached from here
        self.description = docker.image_description(uri)
        self._engine = DockerEngine(state)

    @property
    def labels(self) -> dict[str, str]:
        return self.description["Config"].get("Labels") or {}

    def start(
        self,
        verb: str,
        folder: Path,
        sandbox: Sandbox,
        on_line: Callable[[str], None],
        mount: str = "/opt/ml/model",
    ) -> Instance:
        """A container. folder: its /opt/ml (train), or the model that is mounted (serve).

        A model is mounted read-only where the sandbox says '.'.
        """
        network = sandbox.network or (None if sandbox.outside else "none")
        spec = RunSpec(
            self.name,
            verb,
            folder,
            entrypoint=sandbox.entrypoint,
            arguments=sandbox.arguments,
            host=sandbox.host if verb == "train" else "",
            network=network,
            mount=mount,
            writable="." not in sandbox.read_only,
            options=tuple(_docker_options(sandbox, verb, folder)),
        )
        return self._engine.start(spec, on_line)

    def url(self, instance: Instance, sandbox: Sandbox) -> str | None:
        """Where it serves; None while that is not known.

        By its own address where that is near: behind a published port stands the engine's proxy,
        which accepts connections whatever the server does.
        """
        published = docker.published_url(instance.name, sandbox.port)
        if published is None and not sandbox.network:
            return None
        own = docker.address(instance.name)
        if own and not self.near:
            self.near = is_reached(own, sandbox.port)
        # nothing can be published of an isolated network
        if own and (self.near or sandbox.network):
            return f"http://{own}:{sandbox.port}"
        return published

    def pids(self, instance: Instance) -> list[int]:
        """Its processes as this machine numbers them, the first one first."""
        return docker.processes(instance.name)

    def sees(self, instance: Instance, pid: int) -> bool:
        """Whether this number is a process of the container on this machine, too.

        An engine may run on another machine, or in a virtual one.
        """
        container = docker.container_id(instance.name)
        try:
            groups = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            return False
        return bool(container) and container in groups

    def changes(self, instance: Instance, folder: Path) -> list[str]:
        """Paths in the container's file system that it made or changed."""
        return docker.changed_paths(instance.name)

    def network(self, name: str, isolated: bool) -> str:
        return self._engine.make_network(name, isolated)

    def remove_network(self, name: str) -> None:
        self._engine.remove_network(name)

    def hosts(self, count: int) -> list[str]:
        return self._engine.hosts(count)

    def rendezvous(self, count: int) -> dict[str, str]:
        """Variables by which the hosts of one job find each other."""
        return self._engine.rendezvous(count)

    def sweep(self) -> None:
        self._engine.sweep()


def _docker_options(sandbox: Sandbox, verb: str, folder: Path) -> list[str]:
    # an ended container stays, so that its changes can be listed
    options = ["--rm=false", f"--shm-size={sandbox.shm_mb}m"]
    options += [f"--env={name}={value}" for name, value in sandbox.variables().items()]
    for name in sandbox.read_only:
        if name != ".":
            options.append(docker.mount(folder / name, f"/opt/ml/{name}"))
    options += [docker.mount(path, place) for path, place in sandbox.mounts]
    if sandbox.read_only_root:
        # exec: a JVM's native libraries are run from there
        options += ["--read-only", "--tmpfs=/tmp:exec"]
    if sandbox.user:
        options.append(f"--user={sandbox.user}:{sandbox.user}")
    if sandbox.memory_mb:
        bound = f"{sandbox.memory_mb}m"
        options += [f"--memory={bound}", f"--memory-swap={bound}"]
    if verb == "serve" and sandbox.port != PORT:
        options.append(f"--publish=127.0.0.1::{sandbox.port}")
    if not sandbox.network and (sandbox.host != HOST or not sandbox.outside):
        # the job's own name resolves, even in a container of another name or without a network
        options.append(f"--add-host={HOST}:127.0.0.1")
    return options


class Program:
    """A command of this machine: {root}, {model}, {port}, {verb} and {python} in it are filled in.
    Without {verb} in it, the verb is its last word, as in `docker run`. It also has its /opt/ml,
    SAGEMAKER_BASE_DIR, and its own port, SAGEMAKER_BIND_TO_PORT.
    """

    kind = "process"
    name = "process"
    labels: Mapping[str, str] = {}
    interface = "lo"
    near = True

    def __init__(self, command: str, home: Path) -> None:
        self._words = shlex.split(command)
        self._home = home
        self._instances: list[Instance] = []
        if not self._words:
            raise RunError(
                "--process is empty; give the entrypoint's command, such as '{python} -m {verb}'"
            )
        program = self._words[0]
        if "{" not in program and not shutil.which(program):
            raise RunError(
                f"--process starts with '{program}', which is not a program on this machine; "
                "give its path, or put it on PATH"
            )

    def start(
        self,
        verb: str,
        folder: Path,
        sandbox: Sandbox,
        on_line: Callable[[str], None],
        mount: str = "",
    ) -> Instance:
        """A process. Settled where only a container can be closed like that."""
        if sandbox.user or sandbox.read_only_root or sandbox.memory_mb or sandbox.entrypoint:
            raise Settled(NotApplicable("needs an image and an engine"))
        port = free_port() if verb == "serve" else 0
        home = self._home_of(folder)
        home.mkdir(exist_ok=True)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)
        }
        base = folder.parent if verb == "serve" else folder
        environment |= {"HOME": str(home), "SAGEMAKER_BASE_DIR": str(base)}
        if port:
            environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
        environment |= sandbox.variables()
        command = _closed(sandbox, folder) + self._filled(verb, folder, port, sandbox.arguments)
        instance = Instance(command, on_line, port, environment, Path.cwd())
        self._instances.append(instance)
        return instance

    def _filled(self, verb: str, folder: Path, port: int, arguments: tuple[str, ...]) -> list[str]:
        words = self._words
        if not arguments and not any("{verb}" in word for word in words):
            words = [*words, "{verb}"]
        places = {"{root}": str(folder), "{model}": str(folder), "{port}": str(port)}
        places |= {"{verb}": verb, "{python}": sys.executable}
        return [*(_replaced(word, places) for word in words), *arguments]

    def _home_of(self, folder: Path) -> Path:
        return self._home / f"home-{folder.parent.name}-{folder.name}"

    def url(self, instance: Instance, sandbox: Sandbox) -> str | None:
        return instance.url()

    def pids(self, instance: Instance) -> list[int]:
        """The process and all below it."""
        return processes.below(instance.pid)

    def sees(self, instance: Instance, pid: int) -> bool:
        return True

    def changes(self, instance: Instance, folder: Path) -> list[str]:
        """Files that it left in its home; what is to be kept belongs elsewhere."""
        home = self._home_of(folder)
        return [f"~/{path.relative_to(home)}" for path in sorted(home.rglob("*"))]

    def network(self, name: str, isolated: bool) -> str:
        return ""

    def remove_network(self, name: str) -> None:
        pass

    def hosts(self, count: int) -> list[str]:
        """Names that resolve here."""
        return loopback_hosts(count)

    def rendezvous(self, count: int) -> dict[str, str]:
        """Variables by which the hosts of one job find each other."""
        return loopback_rendezvous(count)

    def sweep(self) -> None:
        """End what still runs."""
        for instance in self._instances:
            if instance.code() is None:
                instance.kill()


def _closed(sandbox: Sandbox, folder: Path) -> list[str]:
    """The command that closes a place and becomes the next command; none for an open place."""
    options = []
    if not sandbox.outside and not sandbox.network:
        options.append("--no-network")
    for name in sandbox.read_only:
        options += ["--read-only", str(folder / name)]
    if sandbox.shm_mb != SHM_MB:
        options += ["--shm-mb", str(sandbox.shm_mb)]
    if not options:
        return []
    if os.getuid() or sys.platform != "linux":
        raise Settled(NotApplicable("needs an engine, or root on Linux"))
    return [sys.executable, "-I", "-S", str(SANDBOX), *options, "--"]


def _replaced(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(name, value)
    return word
