"""Two ways to run what SageMaker would run: the images in a Docker engine, or the same programs as processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.ports import free_port

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30  # as SageMaker: SIGTERM, then SIGKILL
# a container takes as many threads as a process here would: on a busy machine those of one step wait for each other, many times longer
THREADS = ("--env", "OMP_NUM_THREADS")  # without a value: the caller's own, where there is one


class EngineError(RuntimeError):
    """A run that failed; the text says which and why."""


class Containers:
    """`docker run … train` and `docker run … serve` on the project's images."""

    name = "docker"

    def __init__(self, train_image: str = "slipway-train", serve_image: str = "slipway-serve"):
        self.train_image, self.serve_image = train_image, serve_image

    def train(self, root: Path) -> None:
        """Run a training job on an /opt/ml tree. EngineError when it fails."""
        _finish(
            [
                "docker",
                "run",
                "--rm",
                "--hostname",
                "algo-1",
                *identity(),
                *gpus(),
                *THREADS,
                "--volume",
                f"{root}:/opt/ml",
                self.train_image,
                "train",
            ],
            root,
        )

    @contextmanager
    def serve(self, model: Path) -> Iterator[str]:
        """The URL of a running, ready endpoint container over a read-only model folder."""
        name = f"slipway-serve-{os.getpid()}-{time.monotonic_ns()}"
        command = [
            "docker",
            "run",
            "--rm",
            "--name",
            name,
            *identity(),
            *THREADS,
            "--publish",
            "127.0.0.1::8080",
            "--volume",
            f"{model}:/opt/ml/model:ro",
            self.serve_image,
            "serve",
        ]
        process = subprocess.Popen(command)
        try:
            yield _ready(lambda: self._url(name), process)
        finally:
            subprocess.run(
                ["docker", "stop", f"--time={STOP_TIMEOUT_S}", name],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            process.wait(timeout=STOP_TIMEOUT_S)

    @staticmethod
    def _url(name: str) -> str | None:
        found = subprocess.run(
            ["docker", "port", name, "8080/tcp"], capture_output=True, text=True, check=False
        )
        return f"http://{found.stdout.split()[0]}" if found.stdout.strip() else None


class Processes:
    """`python -m train` and `python -m serve` of this checkout."""

    name = "process"

    def train(self, root: Path) -> None:
        """Run a training job on an /opt/ml tree. EngineError when it fails."""
        _finish([sys.executable, "-m", "train", "--root", str(root)], root, cwd=REPOSITORY)

    @contextmanager
    def serve(self, model: Path) -> Iterator[str]:
        """The URL of a running, ready server process."""
        port = free_port()
        environment = {
            **os.environ,
            "SLIPWAY_MODEL_DIR": str(model),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SLIPWAY_HOST": "127.0.0.1",
        }
        process = subprocess.Popen([sys.executable, "-m", "serve"], cwd=REPOSITORY, env=environment)
        try:
            yield _ready(lambda: f"http://127.0.0.1:{port}", process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def choose_engine(wanted: str = "") -> Containers | Processes:
    """docker or process as wanted; unasked, docker where an engine answers. EngineError when a wanted one does not."""
    if wanted not in ("", "docker", "process"):
        raise EngineError(f"ENGINE must be docker or process, found '{wanted}'")
    if wanted == "process":
        return Processes()
    if engine_answers():
        return Containers()
    if wanted == "docker":
        raise EngineError(
            "ENGINE=docker, but no Docker engine answers `docker info`; start one, or set ENGINE=process"
        )
    return Processes()


def engine_answers() -> bool:
    """Whether a Docker engine can be reached."""
    return (
        bool(shutil.which("docker"))
        and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
    )


def ping(url: str, timeout_s: float = 2.0) -> int:
    """The status of GET /ping; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=timeout_s) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def _finish(command: list[str], root: Path, cwd: Path | None = None) -> None:
    code = subprocess.run(command, cwd=cwd, check=False).returncode
    if code:
        failure = root / "output" / "failure"
        reason = (
            failure.read_text(encoding="utf-8")
            if failure.is_file()
            else "it left no reason in output/failure"
        )
        raise EngineError(f"the training ended with code {code}: {reason}")


def _ready(url_of, process: subprocess.Popen) -> str:
    """The URL once /ping answers 200. EngineError when the process ends or START_TIMEOUT_S pass before."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EngineError(
                f"the server ended with code {process.returncode} before it answered /ping"
            )
        url = url_of()
        if url and ping(url) == 200:
            return url
        time.sleep(0.1)
    raise EngineError(f"the server did not answer /ping within {START_TIMEOUT_S} s")


def identity() -> list[str]:
    """Root as on SageMaker; for an ordinary user their own identity, so that they own what is written."""
    return [] if os.getuid() == 0 else ["--user", f"{os.getuid()}:{os.getgid()}"]


def gpus() -> list[str]:
    """The engine's option that gives a container all GPUs; none where it has none."""
    found = subprocess.run(
        ["docker", "info", "--format", "{{json .Runtimes}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return ["--gpus", "all"] if "nvidia" in json.loads(found.stdout or "{}") else []
