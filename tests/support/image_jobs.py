"""The docker command, and jobs for the training image."""

import itertools
import os
import subprocess
import time
from pathlib import Path

from runtime.docker import THREADS
from runtime.opt_ml import lay_out
from tests.support.jobs import SMALL, draw_channel


def docker(
    *arguments: str, timeout: float = 240, check: bool = False
) -> subprocess.CompletedProcess:
    verb, *rest = arguments
    return subprocess.run(
        ["docker", verb, *(THREADS if verb == "run" else ()), *rest],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=check,
    )


def job_for(root: Path, **hyperparameters: object) -> Path:
    source = root / "photos"
    channels = {
        name: draw_channel(source / name, count, seed=number * 100)
        for number, (name, count) in enumerate({"train": 12, "validation": 3, "test": 4}.items())
    }
    lay_out(root / "ml", {**SMALL, **hyperparameters}, channels)
    return root / "ml"


NUMBERS = itertools.count()


def stop_at(image: str, root: Path, line: str) -> tuple[int, float]:
    """Run a job, and `docker stop` it once it has printed a line that begins so.

    Its exit code, and the seconds that the stop took.
    """
    name = f"slipway-stop-{os.getpid()}-{next(NUMBERS)}"
    run = ["docker", "run", "--rm", "--name", name, *THREADS, "-v", f"{root}:/opt/ml"]
    with subprocess.Popen([*run, image, "train"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert any(printed.startswith(line) for printed in process.stdout), f"no line {line}"
        started = time.monotonic()
        docker("stop", "-t", "120", name, check=True)
        process.communicate()
    return process.returncode, time.monotonic() - started
