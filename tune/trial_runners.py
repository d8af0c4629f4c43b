"""Four ways to run a trial's training job on its tree.

In this process, as `python -m train`, in a container of the training image, or by any command.
"""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from artifact.text.log_lines import log_to
from runtime import docker, job_tree, mlflow_variables, processes
from runtime.timeouts import TRAIN_STOP_S
from train.gc_pause import gc_paused
from tune.search_settings import SearchSettings

if TYPE_CHECKING:
    from train.stop import Stop

ENGINES = ("in-process", "process", "container", "command")
# A command may have a training to stop itself, within its own 120 s, and what that left to keep.
COMMAND_STOP_S = 2 * TRAIN_STOP_S


class Failed(Exception):
    """A training that failed, with its own reason."""


class InProcess:
    """Trainings in this process, one after the other. No artifact is exported.

    They share decoded photos, features and the network.
    """

    channels_by = "folder"  # how they get into a trial's tree, see runtime.opt_ml.lay_out

    def __init__(self) -> None:
        with gc_paused():
            from train.model.networks import Networks

        self._networks = Networks()
        self._stop: Stop | None = None

    def run(self, root: Path, on_line: Callable[[str], None]) -> None:
        """Train the job under root. Failed with the reason.

        on_line gets each line that it prints.
        """
        from recipes.hyperparameters import parse
        from train.failure import reason
        from train.job import Job
        from train.stop import Stop

        with gc_paused():
            from train.device import settle_device
            from train.run import run

        job = Job.at(root)
        self._stop = stop = Stop()
        try:
            with _captured(on_line):
                settings = parse(job.hyperparameters())
                settle_device(settings.device)
                run(job, settings, stop, networks=self._networks, export=False)
        except Failed:
            raise
        except Exception as error:  # whatever it is, the search goes on
            sentence = reason(error) or f"unexpected {type(error).__name__}: {error}"
            # Without its cause, whose frames hold the training's memory
            raise Failed(sentence) from None
        finally:
            self._stop = None

    def stop(self) -> None:
        """Have the training that runs end early; from any thread, or a signal's handler."""
        stop = self._stop
        if stop:
            stop.request()


class Commands:
    """Trainings as commands of their own, whole, with their artifact."""

    def __init__(
        self,
        command: Callable[[Path], list[str]],
        remove: Callable[[Path], None] = lambda root: None,
        channels_by: str = "folder",
        stop_s: float = TRAIN_STOP_S,
    ) -> None:
        self._command = command
        self._stop_s = stop_s
        self._remove = remove
        self.channels_by = channels_by
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, root: Path, on_line: Callable[[str], None]) -> None:
        """As InProcess.run."""
        self._remove(root)
        process = processes.start(self._command(root))
        self._process = process
        last = ""
        try:
            for line in processes.lines(process):
                last = line
                on_line(line)
            code = process.wait()
        finally:
            self._process = None
            if process.poll() is None:
                process.kill()
                process.wait()
            self._remove(root)
        if code:
            reason = job_tree.failure(root) or last
            raise Failed(reason or f"the training ended with code {code} and left no reason")

    def stop(self) -> None:
        """As InProcess.stop; SIGKILL when the training does not leave."""
        if process := self._process:
            process.send_signal(signal.SIGTERM)
            timer = threading.Timer(self._stop_s, process.kill)
            timer.daemon = True
            timer.start()


Engine = InProcess | Commands


def make_engine(settings: SearchSettings, gpu: int | None = None) -> Engine:
    """The engine that the settings name, of ENGINES. gpu: the one that containers get."""
    if settings.engine == "in-process":
        return InProcess()
    if settings.engine == "process":
        return Commands(lambda root: [sys.executable, "-m", "train", "--root", str(root)])
    if settings.engine == "command":
        return Commands(lambda root: [*settings.command, str(root)], stop_s=COMMAND_STOP_S)
    return Commands(
        lambda root: _docker_run(root, settings, gpu), _docker_remove, channels_by="mount"
    )


def _docker_run(root: Path, settings: SearchSettings, gpu: int | None) -> list[str]:
    """`docker run IMAGE train` as SageMaker does it; SIGTERM to it is passed on to the training."""
    options = ["--hostname", "algo-1", "--shm-size", docker.SHM_SIZE]
    options.append(docker.mount(root, "/opt/ml", writable=True))
    for name, folder in settings.channels.items():
        options.append(docker.mount(folder, f"/opt/ml/input/data/{name}"))
    options += mlflow_variables.options(docker.gateway)
    for variable in settings.variables:
        options += ["--env", variable]
    if gpu is not None:
        options += docker.one_gpu(gpu)
    image = docker.own_image(settings.image)
    return docker.run_command(image, ["train"], _container(root), options)


def _docker_remove(root: Path) -> None:
    """Remove what a killed tuner may have left under this trial's name."""
    docker.remove(_container(root))


def _container(root: Path) -> str:
    return f"slipway-tune-{root.name}-{hashlib.sha256(str(root).encode()).hexdigest()[:8]}"


@contextmanager
def _captured(on_line: Callable[[str], None]) -> Iterator[None]:
    """Send the output of this process and its libraries to on_line, line by line, in a thread."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    reading, writing = os.pipe()
    for number in (1, 2):
        os.dup2(writing, number)
    printing = os.fdopen(writing, "w", buffering=1, encoding="utf-8", errors="replace")
    log_to(printing)
    wrong: list[Exception] = []

    def pump() -> None:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                try:
                    on_line(line.decode(errors="replace").rstrip("\n"))
                # Raised below: the pipe must be emptied, or the training waits for ever.
                except Exception as error:
                    wrong.append(error)

    thread = threading.Thread(target=pump, name="output", daemon=True)
    thread.start()
    try:
        with redirect_stdout(printing), redirect_stderr(printing):
            yield
    finally:
        log_to(sys.stdout)
        printing.close()
        for number, handle in zip((1, 2), kept, strict=True):
            os.dup2(handle, number)
            os.close(handle)
        thread.join(timeout=60)
    if wrong:
        raise wrong[0]
