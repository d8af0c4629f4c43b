"""A checkout with an environment of its own, for tests of the program bin/slipway."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.jobs import REPOSITORY


def make_checkout(folder: Path, environment: bool = True) -> Path:
    """Links to this checkout's parts, with the program itself, and this test's environment."""
    (folder / "bin").mkdir(parents=True)
    shutil.copy(REPOSITORY / "bin/slipway", folder / "bin/slipway")
    for path in REPOSITORY.iterdir():
        if path.name not in ("bin", "out", ".venv", ".git"):
            (folder / path.name).symlink_to(path)
    if environment:
        (folder / ".venv").symlink_to(sys.prefix)
    return folder


def run(
    program: Path | str, *words: str, folder: Path, **variables: str
) -> subprocess.CompletedProcess:
    """What the program prints when it is typed in a folder."""
    return subprocess.run(
        [program, *words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
