"""Small images for tests: of a Dockerfile's lines and some files, or of a planted program."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.jobs import REPOSITORY

SUPPORT = REPOSITORY / "tests" / "support"
# the files of each planted program; the first one is run
PROGRAMS = {
    "training": ("planted_training.py",),
    "server": ("planted_server.py", "planted_requests.py", "planted_models.py"),
}


@dataclass(frozen=True)
class PlantedImage:
    """files: content by path in the build's context."""

    name: str
    dockerfile: str
    files: dict[str, str] = field(default_factory=dict)


def planted(program: str, fault: str) -> PlantedImage:
    """An image of a planted program, on the serving image's Python."""
    names = PROGRAMS[program]
    entrypoint = json.dumps(["/opt/venv/bin/python", "-ISB", f"/srv/{names[0]}", fault])
    lines = f"FROM slipway-serve\nCOPY srv /srv\nENTRYPOINT {entrypoint}\n"
    files = {f"srv/{name}": (SUPPORT / name).read_text() for name in names}
    return PlantedImage(f"{program}-{fault}", lines, files)


@contextmanager
def built(image: PlantedImage, folder: Path) -> Iterator[str]:
    """The tag of a built image; it is removed after the block."""
    context = folder / "context"
    context.mkdir()
    for path, content in {"hello.txt": "hello\n", **image.files}.items():
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(content)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(image.dockerfile)
    tag = f"slipway-planted-{os.getpid()}-{image.name.replace('_', '-')}"
    options = ["--quiet", f"--tag={tag}", f"--file={dockerfile}"]
    done = subprocess.run(
        ["docker", "build", *options, str(context)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    try:
        yield tag
    finally:
        subprocess.run(["docker", "rmi", "--force", tag], capture_output=True, check=False)
