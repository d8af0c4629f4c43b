"""A serving container that is watched from outside: its processes, memory, open files, threads."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runtime.engines import REPOSITORY, THREADS, EngineError, ping

MEMORY_BYTES = 2**30
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Sample:
    """At one moment, over all processes of the container: proportional set size in bytes, open files, threads."""

    bytes: int
    files: int
    threads: int


class ServingContainer:
    """A running container."""

    def __init__(self, name: str, url: str):
        self.name, self.url = name, url

    def pids(self) -> list[int]:
        """Its processes as this machine numbers them, the first one first."""
        shown = _docker("top", self.name, "-o", "pid").splitlines()[1:]
        return sorted(int(line) for line in shown)

    def worker_pids(self) -> list[int]:
        """All but the first."""
        return self.pids()[1:]

    def kill_worker(self) -> float:
        """kill -9; when that was, by time.monotonic."""
        worker = self.worker_pids()[0]
        os.kill(worker, signal.SIGKILL)
        return time.monotonic()

    def sample(self) -> Sample:
        """What the container takes right now."""
        return sample_of(self.pids())

    def peak_bytes(self) -> int:
        """The most memory that its processes held so far, each by itself, added up."""
        return sum(_field(pid, "status", "VmHWM:") for pid in self.pids()) * 1024

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds until then."""
        started = time.monotonic()
        _docker("stop", "--time=30", self.name)
        return int(
            _docker("inspect", "--format", "{{.State.ExitCode}}", self.name)
        ), time.monotonic() - started


@contextmanager
def serving_container(
    image: str,
    model: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    memory: int = MEMORY_BYTES,
) -> Iterator[ServingContainer]:
    """A ready endpoint container: read-only, without capabilities, of so much memory, over a read-only model folder."""
    name = f"slipway-watched-{os.getpid()}-{time.monotonic_ns()}"
    variables = [f"--env={key}={value}" for key, value in (environment or {}).items()]
    _docker(
        "run",
        "--detach",
        "--name",
        name,
        f"--memory={memory}",
        f"--memory-swap={memory}",
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--publish=127.0.0.1::8080",
        f"--volume={model.absolute()}:/opt/ml/model:ro",
        *THREADS,
        *variables,
        *options,
        image,
        "serve",
    )
    try:
        url = f"http://{_docker('port', name, '8080/tcp').split()[0]}"
        deadline = time.monotonic() + START_TIMEOUT_S
        while ping(url) != 200:
            if (
                time.monotonic() > deadline
                or _docker("inspect", "--format", "{{.State.Running}}", name).strip() != "true"
            ):
                raise EngineError(
                    f"the container of {image} did not get ready: {_docker('logs', '--tail=5', name)}"
                )
            time.sleep(0.02)
        yield ServingContainer(name, url)
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


def _docker(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EngineError(f"docker {arguments[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def sample_of(pids: list[int]) -> Sample:
    """What these processes take right now. PermissionError for another user's."""
    return Sample(
        sum(_field(pid, "smaps_rollup", "Pss:") for pid in pids) * 1024,
        sum(map(_files, pids)),
        sum(_field(pid, "status", "Threads:") for pid in pids),
    )


def _files(pid: int) -> int:
    """How many it has open; none when it has just ended."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _field(pid: int, file: str, name: str) -> int:
    """A number from a file of /proc; 0 when the process has just ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
