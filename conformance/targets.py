"""What is examined: an image in the Docker engine, or a program of this machine in its place. Either is started in a Sandbox."""

import errno
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conformance.clauses import NotApplicable, Settled
from runtime.engines import EngineError
from runtime.machines import Command, Docker, Machine
from runtime.ports import free_port

SANDBOX = Path(__file__).with_name("sandbox.py")
SHM_MB = 2048
PLACES = ("{root}", "{model}", "{port}", "{verb}", "{python}")
CREDENTIALS = {
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/conformance"
}  # of the platform's containers
PORT, HOST = 8080, "algo-1"
REACH_S = 1.0


@dataclass(frozen=True)
class Sandbox:
    """The place that a program runs in; the default is as open as the contract lets it be.

    read_only: folders, below the one that is mounted; host, network: name and network of a container; entrypoint, arguments: as CreateTrainingJob's.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    credentials: bool = True
    outside: bool = True  # whether there is a network
    read_only: tuple[str, ...] = ()
    read_only_root: bool = False
    shm_mb: int = SHM_MB
    user: int = 0
    memory_mb: int = 0
    port: int = PORT
    host: str = HOST
    network: str = ""
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def variables(self) -> dict[str, str]:
        return {
            **(CREDENTIALS if self.credentials else {}),
            "AWS_REGION": "eu-west-1",
            **self.environment,
        }


class Image:
    """An image in the Docker engine."""

    kind = "image"

    def __init__(self, uri: str, state: Path):
        self.name, self._docker, self.near = uri, Docker(state), False
        found = subprocess.run(
            ["docker", "image", "inspect", uri], capture_output=True, text=True, check=False
        )
        if found.returncode:
            raise EngineError(f"the Docker engine here has no image '{uri}'; build or pull it")
        self.description = json.loads(found.stdout)[0]

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
    ) -> Machine:
        """A container. folder: its /opt/ml (train), or its model, which is mounted read-only where the sandbox says '.'."""
        options = [
            "--rm=false",
            f"--shm-size={sandbox.shm_mb}m",
            *(f"--env={name}={value}" for name, value in sandbox.variables().items()),
        ]
        options += [
            f"--volume={folder / name}:/opt/ml/{name}:ro"
            for name in sandbox.read_only
            if name != "."
        ]
        options += (
            ["--read-only", "--tmpfs=/tmp:exec"] if sandbox.read_only_root else []
        )  # a JVM's native libraries are run from there
        options += [f"--user={sandbox.user}:{sandbox.user}"] if sandbox.user else []
        options += (
            [f"--memory={sandbox.memory_mb}m", f"--memory-swap={sandbox.memory_mb}m"]
            if sandbox.memory_mb
            else []
        )
        options += (
            [f"--publish=127.0.0.1::{sandbox.port}"]
            if verb == "serve" and sandbox.port != PORT
            else []
        )
        if not sandbox.network and (sandbox.host != HOST or not sandbox.outside):
            options.append(
                f"--add-host={HOST}:127.0.0.1"
            )  # the job's own name resolves, whatever the container is called and whereto it is closed
        network = sandbox.network or (None if sandbox.outside else "none")
        return self._docker.start(
            Command(
                self.name,
                verb,
                folder,
                {},
                sandbox.entrypoint,
                sandbox.arguments,
                sandbox.host if verb == "train" else "",
                network,
                mount,
                "." not in sandbox.read_only,
                tuple(options),
            ),
            on_line,
        )

    def url(self, machine: Machine, sandbox: Sandbox) -> str | None:
        """Where it serves; None while that is not known.

        By its own address where that is near: behind a published port stands the engine's proxy, which accepts whatever the server does.
        """
        published = _docker("port", machine.name, f"{sandbox.port}/tcp").split()
        if not (published or sandbox.network):
            return None
        own = _docker(
            "inspect",
            "--format",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            machine.name,
        )
        self.near = self.near or bool(own) and _reached(own, sandbox.port)
        if own and (
            self.near or sandbox.network
        ):  # nothing can be published of an isolated network
            return f"http://{own}:{sandbox.port}"
        return f"http://{published[0]}" if published else None

    def pids(self, machine: Machine) -> list[int]:
        """Its processes as this machine numbers them, the first one first."""
        return sorted(
            int(line) for line in _docker("top", machine.name, "-o", "pid").splitlines()[1:]
        )

    def sees(self, machine: Machine, pid: int) -> bool:
        """Whether this number is a process of the container on this machine, too: an engine may run elsewhere, or in a virtual machine."""
        number = _docker("inspect", "--format", "{{.Id}}", machine.name)
        try:
            return bool(number) and number in Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            return False

    def changes(self, machine: Machine, folder: Path) -> list[str]:
        """Paths in the container's file system that it made or changed."""
        return [line[2:] for line in _docker("diff", machine.name).splitlines() if line]

    def network(self, name: str, isolated: bool) -> str:
        return self._docker.make_network(name, isolated)

    def remove_network(self, name: str) -> None:
        self._docker.remove_network(name)

    def hosts(self, count: int) -> list[str]:
        return self._docker.hosts(count)

    interface = "eth0"

    def sweep(self) -> None:
        self._docker.sweep()


class Program:
    """A command of this machine: {root}, {model}, {port}, {verb} and {python} in it are filled in; without {verb} it comes last, as in `docker run`.

    It also has SAGEMAKER_BASE_DIR, its /opt/ml, and SAGEMAKER_BIND_TO_PORT, for every server here has a port of its own.
    """

    kind = "process"
    labels: dict[str, str] = {}
    interface = "lo"
    near = True

    def __init__(self, command: str, home: Path):
        self.name = "process"
        self._words, self._home = shlex.split(command), home
        self._machines: list[Machine] = []
        if not self._words:
            raise EngineError(
                '--process is empty; give the command that stands for the container\'s entrypoint, such as "{python} -m {verb}"'
            )
        if "{" not in self._words[0] and not shutil.which(self._words[0]):
            raise EngineError(
                f"--process starts with '{self._words[0]}', which is no program here; give its path, or put it on PATH"
            )

    def start(
        self,
        verb: str,
        folder: Path,
        sandbox: Sandbox,
        on_line: Callable[[str], None],
        mount: str = "",
    ) -> Machine:
        """A process. Settled where only a container could be so closed."""
        if sandbox.user or sandbox.read_only_root or sandbox.memory_mb or sandbox.entrypoint:
            raise Settled(NotApplicable("needs an image and an engine"))
        port = free_port() if verb == "serve" else 0
        places = dict(zip(PLACES, (str(folder), str(folder), str(port), verb, sys.executable)))
        words = (
            self._words
            if any("{verb}" in word for word in self._words) or sandbox.arguments
            else [*self._words, "{verb}"]
        )
        filled = [*(_filled(word, places) for word in words), *sandbox.arguments]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "SAGEMAKER_", "SM_", "TRAINING_JOB_"))
        }
        home = self._home_of(folder)
        home.mkdir(exist_ok=True)
        environment |= {
            "HOME": str(home),
            "SAGEMAKER_BASE_DIR": str(folder.parent if verb == "serve" else folder),
            **({"SAGEMAKER_BIND_TO_PORT": str(port)} if port else {}),
            **sandbox.variables(),
        }
        machine = Machine(
            [*self._closed(sandbox, folder), *filled],
            on_line,
            port=port,
            environment=environment,
            cwd=Path.cwd(),
        )
        self._machines.append(machine)
        return machine

    def _closed(self, sandbox: Sandbox, folder: Path) -> list[str]:
        options = ["--no-network"] if not (sandbox.outside or sandbox.network) else []
        options += [
            word for name in sandbox.read_only for word in ("--read-only", str(folder / name))
        ]
        options += ["--shm-mb", str(sandbox.shm_mb)] if sandbox.shm_mb != SHM_MB else []
        if not options:
            return []
        if os.getuid() or sys.platform != "linux":
            raise Settled(NotApplicable("needs an engine, or root on Linux"))
        return [sys.executable, "-I", "-S", str(SANDBOX), *options, "--"]

    def _home_of(self, folder: Path) -> Path:
        return self._home / f"home-{folder.parent.name}-{folder.name}"

    def url(self, machine: Machine, sandbox: Sandbox) -> str | None:
        return machine.url()

    def pids(self, machine: Machine) -> list[int]:
        """The process and all below it."""
        found, todo = [], [machine.pid]
        while todo:
            found.append(pid := todo.pop())
            try:
                todo += [
                    int(child)
                    for task in Path(f"/proc/{pid}/task").iterdir()
                    for child in (task / "children").read_text().split()
                ]
            except OSError:
                pass  # it has just ended
        return [machine.pid, *sorted(set(found) - {machine.pid})]

    def sees(self, machine: Machine, pid: int) -> bool:
        return True

    def changes(self, machine: Machine, folder: Path) -> list[str]:
        """Files that it left in its home, which is no place for what is to be kept."""
        home = self._home_of(folder)
        return [f"~/{path.relative_to(home)}" for path in sorted(home.rglob("*"))]

    def network(self, name: str, isolated: bool) -> str:
        return ""

    def remove_network(self, name: str) -> None:
        pass

    def hosts(self, count: int) -> list[str]:
        """Names that resolve here."""
        return [f"127.0.0.{number + 1}" for number in range(count)]

    def sweep(self) -> None:
        """End what still runs."""
        for machine in self._machines:
            if machine.code() is None:
                machine.kill()


def _filled(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(name, value)
    return word


def _reached(address: str, port: int) -> bool:
    """Whether connections from here come to this address; one that is refused there does."""
    with socket.socket() as probe:
        probe.settimeout(REACH_S)
        return probe.connect_ex((address, port)) in (0, errno.ECONNREFUSED)


def _docker(*arguments: str) -> str:
    """What docker prints; "" when it fails, as it does for a container that has just ended."""
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=False
    ).stdout.strip()
