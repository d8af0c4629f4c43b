"""A small checkout, and a PATH with nothing but a shell's tools and Pythons that only pretend."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.jobs import REPOSITORY

PARTS = ("Makefile", "slipway", "bin", "docker", "pyproject.toml")
TOOLS = (
    *("sh", "sed", "cat", "cksum", "grep", "mkdir", "find", "rm", "mv", "cp", "ls", "id", "uname"),
    *("dirname", "mktemp", "make", "chmod", "tr", "ps", "awk", "readlink"),
)
# Answers as slipway/environment.sh asks: for its version, for venv, for pip, for the packages.
PYTHON = """#!/bin/sh
case $* in
    "-c import pip") [ ! -e "$(dirname "$0")/no-pip" ] ;;
    -c*) echo "{version} {venv}" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && : >"$3/pyvenv.cfg" ;;
    "-m pip install "*) cp "{uv}" "$(dirname "$0")/uv" ;;
    *installing.py*) echo "installed by {version}: $*" ;;
    *) exit 9 ;;
esac
"""
UV = """#!/bin/sh
python="${{UV_PYTHON_INSTALL_DIR-nowhere}}/python"
case $* in
    "python find "*) [ -e "$python" ] && echo "$python" ;;
    "python install --no-bin {version}")
        mkdir -p "$UV_PYTHON_INSTALL_DIR" && cp "{source}" "$python" ;;
    *) exit 9 ;;
esac
"""


class StandInMachine:
    """folder: an empty one, whose name may hold anything."""

    def __init__(self, folder: Path, python: str = ">=3.11,<3.15") -> None:
        self.checkout = folder / "a checkout, ü"
        self.path = folder / "path"
        self.checkout.mkdir(parents=True)
        self.path.mkdir()
        for name in PARTS[:3]:
            source = REPOSITORY / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.checkout / name)
        (self.checkout / "pyproject.toml").write_text(f'requires-python = "{python}"\n')
        (self.checkout / "docker").mkdir()
        for name in ("host", "dev", "smdebug", "mutants", "docs", "uv"):
            (self.checkout / f"docker/requirements-{name}.txt").write_text(f"# {name}\n")
        for tool in TOOLS:
            found = shutil.which(tool)
            if found:
                (self.path / tool).symlink_to(found)
        self.kept = folder / "kept"  # beside PATH: what uv and pip would fetch
        self.kept.mkdir()
        self.put(self.kept / "python", self.python("3.14"))
        self.put(self.kept / "uv", UV.format(version="3.14", source=self.kept / "python"))

    def put(self, file: Path, text: str) -> None:
        file.write_text(text)
        file.chmod(0o755)

    def python(self, version: str, venv: str = "venv") -> str:
        return PYTHON.format(version=version, venv=venv, uv=self.kept / "uv")

    def add(self, name: str, version: str) -> None:
        """A program on PATH: such as python3 of version '3.12', '3.12 bare' or 'broken'."""
        if name == "uv":
            shutil.copy(self.kept / "uv", self.path / "uv")
        elif version == "broken":  # as pyenv's programs of versions that are not chosen
            self.put(self.path / name, "#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
        else:
            number, _, word = version.partition(" ")
            self.put(self.path / name, self.python(number, word or "venv"))

    def make(self, *words: str, **variables: str) -> subprocess.CompletedProcess:
        """`make WORDS…` in the checkout."""
        return self.run("make", "--no-print-directory", *words, **variables)

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess:
        kept = {name: os.environ[name] for name in ("TMPDIR",) if name in os.environ}
        return subprocess.run(
            command,
            cwd=self.checkout,
            env={**kept, "PATH": str(self.path), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
