"""The two ways to run what SageMaker would run: images in containers, or programs as processes."""

import itertools
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runtime import docker, processes
from runtime.engine_facts import PROCESS, choose, facts
from runtime.errors import RunError
from runtime.instances import ContainerInstance, Instance
from runtime.ports import free_port

LABEL = "slipway.local-sagemaker"  # of containers and networks; its value is the server's folder
# Not the one that runs the code of an artifact: no process here does that.
OWN_IMAGES = re.compile(r"slipway-(train|serve)(?!-mms-torch)([-:@]|$)")
ENGINE_HELP = "docker, podman or process (default: $ENGINE, else the engine that answers)"
RENDEZVOUS_PORT = "SLIPWAY_RENDEZVOUS_PORT"  # train/distributed/launcher.py reads it
PROCESSING = "process"
PREPARE = ("-m", "prepare")  # after the interpreter
OPT_ML = "/opt/ml/"
_numbers = itertools.count(1)  # of containers, over all engines of this process


@dataclass(frozen=True)
class RunSpec:
    """What to start. folder: /opt/ml of a training, or the model that is served.

    verb: train, serve or process (a processing job); mount: where the model is in the container;
    writable: whether the container may change it; gpu: the number of the one that it gets, "" for
    all; options: more options of `docker run`, which win over those from here.
    """

    image: str
    verb: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    host: str = ""
    network: str | None = None
    mount: str = "/opt/ml/model"
    writable: bool = False
    gpu: str = ""
    options: tuple[str, ...] = ()


class ContainerEngine(Protocol):
    """What runs images for SageMaker's jobs and endpoints."""

    @property
    def name(self) -> str:
        """docker, podman or process, as ENGINE= and --engine have it."""

    @property
    def interface(self) -> str:
        """The network interface by which the hosts of a job reach each other."""

    def gateway(self) -> str | None:
        """The address by which containers reach this machine; None where they share its own."""

    def find_image(self, uri: str, verb: str) -> str:
        """The image here for what a request names. RunError when there is none."""

    def hosts(self, count: int) -> list[str]:
        """Names of a job's hosts, which resolve on each of them."""

    def rendezvous(self, count: int) -> dict[str, str]:
        """Variables by which the hosts of one job find each other."""

    def start(self, spec: RunSpec, on_line: Callable[[str], None] | None) -> Instance:
        """Start an instance. RunError when the engine cannot run this."""

    def make_network(self, name: str, isolated: bool) -> str | None:
        """A network for a job's hosts; None where they need none. RunError when refused."""

    def remove_network(self, name: str) -> None:
        """Remove such a network."""

    def sweep(self) -> None:
        """Remove what an earlier server on the same folder left behind."""


class DockerEngine:
    """Containers. state: a server's folder; its containers and networks carry it in a label."""

    interface = "eth0"

    def __init__(self, state: Path | None = None) -> None:
        owner = ""
        self._work = ""
        if state:
            owner = str(state.absolute())
            self._work = f"{owner}/work/"
        self._label = f"{LABEL}={owner}"

    @property
    def name(self) -> str:
        return facts().program

    def gateway(self) -> str | None:
        return docker.gateway() or None

    def find_image(self, uri: str, verb: str) -> str:
        """The image of that name, or the local one with its last name and tag, or its latest.

        A name alone, such as slipway-train, is this checkout's image.
        """
        last = uri.rsplit("/", 1)[-1]
        repository = re.split("[:@]", last)[0]
        own = docker.own_image(repository)
        if uri == repository:
            uri = own
        for candidate in (uri, last, own, f"{repository}:latest"):
            by_digest = "@" in candidate  # a digest is only found with its registry's name
            if by_digest and candidate != uri:
                continue
            if docker.image_exists(candidate):
                return candidate
        raise RunError(
            f"{self.name} has neither '{uri}' nor '{last}' nor '{repository}:latest'; "
            "build or pull it"
        )

    def hosts(self, count: int) -> list[str]:
        return [f"algo-{number + 1}" for number in range(count)]

    def rendezvous(self, count: int) -> dict[str, str]:
        return {}  # each host has an address and all ports of its own

    def start(self, spec: RunSpec, on_line: Callable[[str], None] | None) -> Instance:
        image = self.find_image(spec.image, spec.verb)
        name = f"slipway-{spec.verb}-{os.getpid()}-{next(_numbers)}"
        first, *rest = spec.entrypoint or ("",)
        arguments = [*rest, *spec.arguments]
        if not arguments and not first and spec.verb != PROCESSING:
            arguments = [spec.verb]
        options = [
            *("--label", self._label, "--sig-proxy=false"),
            *(docker.one_gpu(spec.gpu) if spec.gpu else docker.all_gpus()),
            *(f"--env={key}={value}" for key, value in spec.environment.items()),
            *_mounts(spec),
            *_network(spec),
        ]
        if first:
            options.append(f"--entrypoint={first}")
        options += spec.options
        command = docker.run_command(image, arguments, name, options)
        return ContainerInstance(command, on_line, name)

    def make_network(self, name: str, isolated: bool) -> str:
        docker.make_network(name, self._label, internal=isolated)
        return name

    def remove_network(self, name: str) -> None:
        docker.remove_network(name)

    def sweep(self) -> None:
        """Its own carry its label; containers of its searches are known by what is mounted."""
        if self._work:
            docker.remove(*docker.containers_with_mount(self._work))
            docker.sweep(self._label)


class ProcessEngine:
    """`python -m train` and `python -m serve` of this checkout, for any tag of the own images.

    state: the folder of a server, which remembers its processes there.
    """

    name = PROCESS
    interface = "lo"

    def __init__(self, state: Path | None = None) -> None:
        self._state = state

    def gateway(self) -> str | None:
        return None

    def find_image(self, uri: str, verb: str) -> str:
        """The name itself. RunError for images that this checkout is not the source of."""
        last = uri.rsplit("/", 1)[-1]
        if not OWN_IMAGES.match(last) or not last.startswith(f"slipway-{verb}"):
            raise RunError(
                "without a container engine only the project's own images can be run, "
                f"here slipway-{verb}; found '{uri}'"
            )
        return uri

    def hosts(self, count: int) -> list[str]:
        """Names that resolve without a network of containers."""
        if count == 1:
            return ["algo-1"]  # as on SageMaker: a single host has nobody to reach
        return loopback_hosts(count)

    def rendezvous(self, count: int) -> dict[str, str]:
        return loopback_rendezvous(count)

    def start(self, spec: RunSpec, on_line: Callable[[str], None] | None) -> Instance:
        if spec.verb == PROCESSING:
            return self._remembered(prepare_here(spec, on_line), spec.folder)
        self.find_image(spec.image, spec.verb)
        if spec.entrypoint or spec.arguments:
            raise RunError("ContainerEntrypoint and ContainerArguments need a container engine")
        arguments = [sys.executable, "-m", spec.verb]
        environment = {**os.environ, **spec.environment}
        if spec.gpu:
            environment["CUDA_VISIBLE_DEVICES"] = spec.gpu
        port = 0
        if spec.verb == "train":
            arguments += ["--root", str(spec.folder)]
        else:
            port = free_port()
            environment["SLIPWAY_MODEL_DIR"] = str(spec.folder)
            environment["SLIPWAY_MODELS_DIR"] = str(spec.folder)
            environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
            environment["SLIPWAY_HOST"] = "127.0.0.1"
        return self._remembered(Instance(arguments, on_line, port, environment), spec.folder)

    def _remembered(self, instance: Instance, folder: Path) -> Instance:
        if self._state:
            processes.remember(self._state, instance.pid, folder)
        return instance

    def make_network(self, name: str, isolated: bool) -> str | None:
        return None

    def remove_network(self, name: str) -> None:
        pass

    def sweep(self) -> None:
        pass  # the server itself ends the processes that it remembers


def prepare_here(spec: RunSpec, on_line: Callable[[str], None] | None) -> Instance:
    """`python -m prepare` of this checkout, the only processing that needs no image.

    What it is given below /opt/ml lies in the job's folder. RunError for any other program.
    """
    if spec.entrypoint[1:] != PREPARE:
        raise RunError(
            "a processing job runs a program in its image, and this server runs no images; "
            "start it with --engine docker or podman"
        )
    here = [word.replace(OPT_ML, f"{spec.folder}/", 1) for word in spec.arguments]
    command = [sys.executable, *PREPARE, *here]
    return Instance(command, on_line, 0, {**os.environ, **spec.environment})


def loopback_hosts(count: int) -> list[str]:
    """Addresses of this machine, one per host: all of 127.0.0.0/8 is local on Linux."""
    return [f"127.0.0.{number + 1}" for number in range(count)]


def loopback_rendezvous(count: int) -> dict[str, str]:
    """The variable with one free port for all hosts of a job.

    SageMaker's port would be the same for all jobs that run side by side here.
    """
    if count == 1:
        return {}
    return {RENDEZVOUS_PORT: str(free_port())}


def choose_container_engine(wanted: str) -> str:
    """docker, podman or process as wanted; for "", the engine that answers. RunError otherwise."""
    return choose(wanted)


def make_container_engine(name: str, state: Path | None = None) -> ContainerEngine:
    """The engine of this name. state: a server's folder, if it has one."""
    if name == PROCESS:
        return ProcessEngine(state)
    return DockerEngine(state)


def _mounts(spec: RunSpec) -> list[str]:
    if spec.verb in ("train", PROCESSING):
        whole = docker.mount(spec.folder, "/opt/ml", writable=True)
        return [whole, f"--shm-size={docker.SHM_SIZE}"]
    publish = f"--publish=127.0.0.1::{docker.SERVING_PORT}"
    return [docker.mount(spec.folder, spec.mount, spec.writable), publish]


def _network(spec: RunSpec) -> list[str]:
    options = []
    if spec.network:
        options.append(f"--network={spec.network}")
    if spec.network and spec.network != "none" and spec.host:
        options.append(f"--network-alias={spec.host}")
    if spec.host:
        options.append(f"--hostname={spec.host}")
    return options
