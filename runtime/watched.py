"""A serving container that is watched from outside: its processes, memory, open files, threads."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime import docker
from runtime.errors import RunError
from runtime.probes import ping
from runtime.timeouts import SERVE_START_S, SERVE_STOP_S

MEMORY_BYTES = 2**30


@dataclass(frozen=True)
class Sample:
    """What a container holds at one moment, over all its processes."""

    bytes: int  # proportional set size: memory that n processes share counts 1/n for each
    files: int  # open ones
    threads: int


class ServingContainer:
    """A running container, by its name and its URL."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url

    def pids(self) -> list[int]:
        """Its processes as this machine numbers them, the first one first."""
        return docker.processes(self.name)

    def worker_pids(self) -> list[int]:
        """All but the first."""
        return self.pids()[1:]

    def kill_worker(self) -> float:
        """kill -9 to one worker; the moment of it, on time.monotonic's clock."""
        worker = self.worker_pids()[0]
        os.kill(worker, signal.SIGKILL)
        return time.monotonic()

    def sample(self) -> Sample:
        """What the container holds right now."""
        return sample_of(self.pids())

    def peak_bytes(self) -> int:
        """The sum of the most memory that each of its processes has held so far."""
        return sum(_number(pid, "status", "VmHWM:") for pid in self.pids()) * 1024

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds until then."""
        started = time.monotonic()
        docker.stop(self.name, SERVE_STOP_S)
        return docker.exit_code(self.name), time.monotonic() - started


@contextmanager
def serving_container(
    image: str,
    model: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    memory: int = MEMORY_BYTES,
) -> Iterator[ServingContainer]:
    """A ready endpoint container over a read-only model folder.

    Its file system is read-only and it has no capabilities. memory: its bound, in bytes.
    """
    name = f"slipway-watched-{os.getpid()}-{time.monotonic_ns()}"
    variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
    docker.output(
        *("run", "--detach", "--name", name),
        *(f"--memory={memory}", f"--memory-swap={memory}"),
        *("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"),
        f"--publish=127.0.0.1::{docker.SERVING_PORT}",
        docker.mount(model, "/opt/ml/model"),
        *docker.THREADS,
        *variables,
        *options,
        image,
        "serve",
    )
    try:
        url = docker.published_url(name)
        _wait_ready(image, name, url)
        yield ServingContainer(name, url or "")
    finally:
        docker.remove(name)


def _wait_ready(image: str, name: str, url: str | None) -> None:
    deadline = time.monotonic() + SERVE_START_S
    while url is None or ping(url) != 200:
        late = time.monotonic() > deadline
        if url is None or late or not docker.is_running(name):
            said = docker.last_lines(name)
            raise RunError(f"the container of {image} did not get ready: {said}")
        time.sleep(0.02)


def sample_of(pids: list[int]) -> Sample:
    """What these processes hold right now. PermissionError for another user's."""
    return Sample(
        bytes=sum(_number(pid, "smaps_rollup", "Pss:") for pid in pids) * 1024,
        files=sum(_open_files(pid) for pid in pids),
        threads=sum(_number(pid, "status", "Threads:") for pid in pids),
    )


def _open_files(pid: int) -> int:
    """The number of its open files; 0 when it has just ended."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _number(pid: int, file: str, name: str) -> int:
    """A number from a file of /proc, sizes in KiB; 0 when the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith(name):
            return int(line.split()[1])
    return 0
