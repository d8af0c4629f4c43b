"""The docker command, and jobs for the training image."""

import subprocess
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
