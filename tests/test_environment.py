"""The locks, and the environment that was made of them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jobs import REPOSITORY

LOCKS = sorted((REPOSITORY / "docker").glob("requirements-*.txt"))
# Of environments of their own, and of one package that two toolkits want in two versions.
APART = {"requirements-mutants.txt", "requirements-docs.txt", "requirements-notebooks.txt"}
IN_TWO_VERSIONS = {"retrying"}
# The build for CUDA 13 has a torch of its own, and that one's parts.
OTHER_TORCH = "requirements-train-cuda13.txt"
PARTS_OF_TORCH = re.compile(r"torch(vision)?$|triton$|nvidia-|cuda-")


def locked(path: Path) -> set[tuple[str, str]]:
    """Every package with its version, however many lines with markers it has."""
    return set(re.findall(r"^([a-z0-9][^= ]*)==([^ ]+)", path.read_text(), re.M))


@pytest.mark.slow
def test_nothing_is_missing_but_what_smdebug_asks_for():
    check = REPOSITORY / "docker" / "pip_check.sh"
    done = subprocess.run(["sh", check, sys.prefix], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_other_complaints_of_pip_are_not_passed_over(tmp_path):
    complaints = [
        "smdebug 1.0.34 requires pyinstrument, which is not installed.",
        "smdebug 1.0.34 has requirement protobuf<=3.20.3,>=3.20.0, but you have protobuf 6.33.6.",
        "smdebug 1.0.34 requires boto3, which is not installed.",
        "nncf 3.4.0 requires ninja, which is not installed.",
    ]
    pip = tmp_path / "bin" / "pip"
    pip.parent.mkdir()
    pip.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in complaints))
    pip.chmod(0o755)
    command = ["sh", REPOSITORY / "docker" / "pip_check.sh", tmp_path, "requires ninja"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (1, complaints[2] + "\n")


def test_a_package_has_one_version_in_all_images_and_here():
    versions: dict[str, set[str]] = {}
    for path in LOCKS:
        if path.name not in APART:
            for name, version in locked(path):
                if path.name == OTHER_TORCH and PARTS_OF_TORCH.match(name):
                    continue
                versions.setdefault(name, set()).add(version)
    # atheris has no one version for all Pythons
    several = {name for name, found in versions.items() if len(found) > 1} - IN_TWO_VERSIONS
    assert several == {"atheris"}


def test_every_locked_package_has_its_hashes():
    for path in LOCKS:
        for line in re.findall(r"^[a-z0-9][^\n]*", path.read_text(), re.M):
            assert line.endswith(" \\"), f"{path.name}: {line}"


def test_one_lock_serves_every_python_from_3_11():
    """Markers say where a line is needed; a lock for one Python would hide its own limits."""
    text = (REPOSITORY / "docker" / "requirements-train.txt").read_text()
    assert re.search(r"^setuptools==\S+ ; python_full_version >= '3.12'", text, re.M)
    assert re.search(r"^pyinstrument==\S+ ; python_full_version < '3.13'", text, re.M)
    assert re.search(r"^nvidia-nccl-cu12==\S+ ; platform_machine == 'x86_64'", text, re.M)
