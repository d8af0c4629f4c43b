"""A Python where none fits: real pip installs real uv, which fetches one from a mirror."""

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from tests.support.environments_made import not_made
from tests.support.jobs import REPOSITORY
from tests.support.package_index import package_index, write_wheel
from tests.support.stand_in_pythons import StandInMachine

pytestmark = pytest.mark.verify

MINOR = sys.version_info[1]
RELEASE = "20261110"
NAME = f"cpython-3.{MINOR}.99-linux-x86_64-gnu"
ARCHIVE = f"cpython-3.{MINOR}.99+{RELEASE}-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
# Says that it is too old, and is the Python of these tests in all else.
OLD = """#!/bin/sh
case $* in
    -c*sys.version_info*) echo "3.10 venv" ;;
    *) exec "{python}" "$@" ;;
esac
"""
# How this machine reaches an index
SETTINGS = ("PIP_", "SSL_", "HOME", "http", "HTTP", "no_proxy", "NO_PROXY")


def left_out(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    dropped = {"test", "site-packages", "dist-packages", "__pycache__", "idlelib"}
    leads_away = entry.issym() and entry.linkname.startswith("/")  # which uv refuses
    return None if leads_away or dropped & set(Path(entry.name).parts) else entry


def write_mirror(folder: Path) -> dict[str, str]:
    """This Python's files as the archive that uv fetches; the variables that name the mirror."""
    archive = folder / RELEASE / ARCHIVE
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        program = Path(sys.base_prefix) / f"bin/python3.{MINOR}"
        packed.add(program.resolve(), f"python/bin/python3.{MINOR}")
        packed.add(sysconfig.get_path("stdlib"), f"python/lib/python3.{MINOR}", filter=left_out)
    origin = "https://github.com/astral-sh/python-build-standalone/releases/download"
    about = {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": 3,
        "minor": MINOR,
        "patch": 99,
        "prerelease": "",
        "url": f"{origin}/{RELEASE}/{ARCHIVE.replace('+', '%2B')}",
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "variant": None,
        "build": RELEASE,
    }
    (folder / "downloads.json").write_text(json.dumps({NAME: about}))
    return {
        "UV_PYTHON_INSTALL_MIRROR": folder.as_uri(),
        "UV_PYTHON_DOWNLOADS_JSON_URL": str(folder / "downloads.json"),
        "UV_CACHE_DIR": str(folder / "cache"),
    }


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the archive is for Linux"
)
def test_uv_is_installed_and_fetches_a_python_from_the_mirror(tmp_path):
    machine = StandInMachine(tmp_path / "machine", f">=3.{MINOR},<3.{MINOR + 1}")
    old = machine.path / "python3"
    old.write_text(OLD.format(python=Path(sys.base_prefix) / "bin/python3"))
    old.chmod(0o755)
    shutil.copy(REPOSITORY / "docker/requirements-uv.txt", machine.checkout / "docker")
    (tmp_path / "wheels").mkdir()
    line = write_wheel(tmp_path / "wheels", "slipway_present")
    (machine.checkout / "docker/requirements-host.txt").write_text(line)
    variables = {name: os.environ[name] for name in os.environ if name.startswith(SETTINGS)}
    variables |= write_mirror(tmp_path / "mirror")
    with package_index(tmp_path / "wheels") as index:
        links = f"{index.url} {variables.get('PIP_FIND_LINKS', '')}"
        done = machine.make(".venv/.docker", **{**variables, "PIP_FIND_LINKS": links})
    if "No matching distribution found for uv" in done.stderr:
        not_made("uv", done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "environment: installing uv, for a moment, by python3"
    assert lines[1] == (
        f"environment: Python 3.{MINOR} with venv is not here; "
        f"uv fetches Python 3.{MINOR} into .venv-python"
    )
    assert re.fullmatch(r"environment: made \.venv: Python 3\.\S+, 1 packages, .*", lines[-1])
    asked = machine.run(
        *(machine.checkout / ".venv/bin/python", "-c"),
        "import slipway_present, sys; print(sys.base_prefix)",
    )
    assert Path(asked.stdout.strip()).is_relative_to(machine.checkout / ".venv-python")
