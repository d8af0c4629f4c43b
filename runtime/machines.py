"""What stands in for SageMaker's instances: containers of a Docker engine, or processes of this checkout.

A Machine is one started container or process, its output read line by line. It knows nothing of jobs and endpoints.
"""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runtime.engines import REPOSITORY, THREADS, EngineError, gpus, identity, ping
from runtime.ports import free_port

TRAIN_STOP_S, SERVE_STOP_S = 120, 30  # between SIGTERM and SIGKILL, as SageMaker
LABEL, PROCESSES = "slipway.local-sagemaker", "processes"
OWN_IMAGES = re.compile(r"slipway-(train|serve)([-:@]|$)")
_numbers = itertools.count(1)  # of containers, over all engines of this process


@dataclass(frozen=True)
class Command:
    """What to start. uri: of the image; verb: train or serve; folder: mounted at /opt/ml (train), or the model (serve).

    options: more of `docker run`'s, which win over ours.
    """

    uri: str
    verb: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    host: str = ""
    network: str | None = None
    mount: str = "/opt/ml/model"  # of what serves
    writable: bool = False  # what is mounted there
    options: tuple[str, ...] = ()


class Machine:
    """A started container (name) or process; on_line gets each line of its output."""

    def __init__(
        self,
        arguments: list[str],
        on_line: Callable[[str], None],
        name: str = "",
        port: int = 0,
        environment: dict[str, str] | None = None,
        cwd: Path = REPOSITORY,
    ):
        self.name, self._url = name, None if name else f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def code(self) -> int | None:
        """The exit code, 128 + number for a signal; None while it runs. Not before all output has been read."""
        code = self._process.poll()
        if code is None:
            return None
        self._reader.join(timeout=5)
        return 128 - code if code < 0 else code

    def url(self) -> str | None:
        """Where it serves; None while that is not known."""
        if self._url is None:
            found = subprocess.run(
                ["docker", "port", self.name, "8080/tcp"],
                capture_output=True,
                text=True,
                check=False,
            )
            self._url = f"http://{found.stdout.split()[0]}" if found.stdout.strip() else None
        return self._url

    def ready(self) -> bool:
        """Whether GET /ping answers 200 within SageMaker's 2 seconds."""
        url = self.url()
        return bool(url) and ping(url, timeout_s=2) == 200

    def stop(self, grace_s: int) -> None:
        """SIGTERM, and SIGKILL so many seconds later to what is still there. Returns when it has ended."""
        if self._process.poll() is not None:
            return
        if self.name:
            subprocess.run(
                ["docker", "stop", f"--time={grace_s}", self.name], capture_output=True, check=False
            )
        else:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def terminate(self) -> None:
        """SIGTERM, whatever signal an image would like better; it has been sent when this returns."""
        if self.name:
            subprocess.run(
                ["docker", "kill", "--signal=TERM", self.name], capture_output=True, check=False
            )
        else:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Whether it has ended within this time; its children may still run."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        if self.name:
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", self.name],
                capture_output=True,
                check=False,
            )
        else:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._process.wait()

    def _read(self, on_line: Callable[[str], None]) -> None:
        with self._process.stdout as lines:
            for line in lines:
                on_line(line.decode("utf-8", errors="replace").rstrip("\r\n"))


class Docker:
    """Containers. state: the server's folder; its containers and networks are labelled with it."""

    name = "docker"

    def __init__(self, state: Path):
        self._label, self._work = f"{LABEL}={state.absolute()}", f"{state.absolute()}/work/"

    def check(self, uri: str, verb: str) -> str:
        """The local image for what a request names: itself, or what has its last name and tag. EngineError when there is none."""
        last = uri.rsplit("/", 1)[-1]
        repository = re.split("[:@]", last)[0]
        for candidate in (uri, last, f"{repository}:latest"):
            if "@" not in candidate or candidate == uri:
                if (
                    subprocess.run(
                        ["docker", "image", "inspect", candidate], capture_output=True, check=False
                    ).returncode
                    == 0
                ):
                    return candidate
        raise EngineError(
            f"the Docker engine here has neither '{uri}' nor '{last}' nor '{repository}:latest'; build or pull it"
        )

    def hosts(self, count: int) -> list[str]:
        return [f"algo-{number + 1}" for number in range(count)]

    interface = "eth0"

    def start(self, command: Command, on_line: Callable[[str], None]) -> Machine:
        """EngineError when the image is not there."""
        image = self.check(command.uri, command.verb)
        name = f"slipway-{command.verb}-{os.getpid()}-{next(_numbers)}"
        options = (
            ["--volume", f"{command.folder}:/opt/ml", "--shm-size=2g"]
            if command.verb == "train"
            else [
                "--volume",
                f"{command.folder}:{command.mount}{'' if command.writable else ':ro'}",
                "--publish=127.0.0.1::8080",
            ]
        )
        if command.network:
            options += [f"--network={command.network}"] + (
                [f"--network-alias={command.host}"]
                if command.host and command.network != "none"
                else []
            )
        if command.host:
            options.append(f"--hostname={command.host}")
        first, *rest = command.entrypoint or ("",)
        options += [f"--entrypoint={first}"] if first else []
        arguments = [*rest, *command.arguments] or ([] if first else [command.verb])
        variables = [f"--env={key}={value}" for key, value in command.environment.items()]
        return Machine(
            [
                "docker",
                "run",
                "--rm",
                "--name",
                name,
                "--label",
                self._label,
                "--sig-proxy=false",
                *identity(),
                *gpus(),
                *THREADS,
                *variables,
                *options,
                *command.options,
                image,
                *arguments,
            ],
            on_line,
            name,
        )

    def make_network(self, name: str, isolated: bool) -> str:
        """A network of a job's hosts. EngineError when the engine refuses."""
        done = subprocess.run(
            [
                "docker",
                "network",
                "create",
                "--label",
                self._label,
                *(["--internal"] if isolated else []),
                name,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise EngineError(f"the network '{name}' cannot be made: {done.stderr.strip()}")
        return name

    def remove_network(self, name: str) -> None:
        subprocess.run(["docker", "network", "rm", name], capture_output=True, check=False)

    def sweep(self) -> None:
        """Remove what an earlier server on the same folder left behind: its own by their label, those of its searches by what is mounted in them."""
        shown = subprocess.run(
            ["docker", "ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Mounts}}"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if found := [line.partition(" ")[0] for line in shown.splitlines() if self._work in line]:
            subprocess.run(
                ["docker", "rm", "--force", "--volumes", *found], capture_output=True, check=False
            )
        for listing, remove in (
            (["ps", "--all"], ["rm", "--force", "--volumes"]),
            (["network", "ls"], ["network", "rm"]),
        ):
            command = ["docker", *listing, "--quiet", "--filter", f"label={self._label}"]
            if found := subprocess.run(
                command, capture_output=True, text=True, check=False
            ).stdout.split():
                subprocess.run(["docker", *remove, *found], capture_output=True, check=False)


class Processes:
    """`python -m train` and `python -m serve` of this checkout, whatever tag of the project's own images is named."""

    name = "process"
    interface = "lo"

    def __init__(self, state: Path):
        self._state = state

    def check(self, uri: str, verb: str) -> str:
        """EngineError for images that this checkout is not the source of."""
        last = uri.rsplit("/", 1)[-1]
        if not OWN_IMAGES.match(last) or not last.startswith(f"slipway-{verb}"):
            raise EngineError(
                f"without a Docker engine only the project's own images can be run, here slipway-{verb}; found '{uri}'"
            )
        return uri

    def hosts(self, count: int) -> list[str]:
        """Names that resolve without a network of containers."""
        return ["algo-1"] if count == 1 else [f"127.0.0.{number + 1}" for number in range(count)]

    def start(self, command: Command, on_line: Callable[[str], None]) -> Machine:
        self.check(command.uri, command.verb)
        if command.entrypoint or command.arguments:
            raise EngineError("ContainerEntrypoint and ContainerArguments need a Docker engine")
        environment, port = {**os.environ, **command.environment}, 0
        arguments = [sys.executable, "-m", command.verb]
        if command.verb == "train":
            arguments += ["--root", str(command.folder)]
        else:
            port = free_port()
            environment |= {
                "SLIPWAY_MODEL_DIR": str(command.folder),
                "SAGEMAKER_BIND_TO_PORT": str(port),
                "SLIPWAY_HOST": "127.0.0.1",
            }
        machine = Machine(arguments, on_line, port=port, environment=environment)
        remember(self._state, machine.pid, command.folder)
        return machine

    def make_network(self, name: str, isolated: bool) -> str | None:
        return None

    def remove_network(self, name: str) -> None:
        pass

    def sweep(self) -> None:
        pass


def remember(state: Path, pid: int, folder: Path) -> None:
    """Note a process that works on a folder, for sweep_processes of the next server."""
    (state / PROCESSES).mkdir(parents=True, exist_ok=True)
    (state / PROCESSES / str(pid)).write_text(str(folder))


def sweep_processes(state: Path) -> None:
    """End what an earlier server on the same folder left running: its processes are known by the folder that they were given."""
    for path in (state / PROCESSES).glob("*"):
        if _mentions(int(path.name), path.read_text()):
            os.killpg(int(path.name), signal.SIGKILL)
        path.unlink()


def _mentions(pid: int, folder: str) -> bool:
    try:
        return any(
            folder.encode() in Path(f"/proc/{pid}/{name}").read_bytes()
            for name in ("cmdline", "environ")
        )
    except OSError:
        return False


def stop_all(machines: Iterable[Machine], grace_s: int) -> None:
    """Stop several side by side: none waits for another's grace."""
    threads = [threading.Thread(target=machine.stop, args=(grace_s,)) for machine in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
