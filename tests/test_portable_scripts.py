"""What runs on the host runs on macOS, too: with its old bash and make, and without GNU's tools."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.jobs import REPOSITORY
from tests.support.portability import ABSENT, LINUX_ONLY, faults
from tests.support.stand_in_pythons import StandInMachine


def host_scripts() -> list[str]:
    """Every shell script of the project that is not for Debian alone, by its first line."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found = []
    for name in listed.stdout.split("\0")[:-1]:
        file = REPOSITORY / name
        if not file.is_file() or name.startswith(("serve/", "docker/serve", "docker/train")):
            continue  # the latter are the images' own programs
        with file.open("rb") as opened:
            first = opened.readline()
        if name.endswith(".sh") or (first.startswith(b"#!") and b"sh" in first.split()[-1]):
            found.append(name)
    return [name for name in found if name not in LINUX_ONLY]


def test_the_scripts_of_the_host_are_found():
    scripts = host_scripts()
    assert {"bin/slipway", "docker/build.sh", "slipway/environment.sh"} <= set(scripts)
    assert all((REPOSITORY / name).exists() for name in LINUX_ONLY)


@pytest.mark.parametrize("name", host_scripts())
def test_a_script_needs_nothing_that_macos_lacks(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    assert list(faults(text, "script")) == []


def test_the_makefile_needs_nothing_that_macos_lacks():
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert list(faults(text, "make")) == []


@pytest.mark.parametrize(
    "line",
    [
        "mapfile -t lines < file",
        "echo ${name,,} ${name^}",
        "declare -A sizes",
        "local -n other=$1",
        "wait -n",
        "echo ${name@Q}",
        "build |& tee log",
        "[[ -v name ]]",
        "read -r -t 0.5 line",
        "echo ${name:0:-1}",
        "timeout 5 docker pull x",
        "if timeout 5 true; then",
        "count=$(nproc)",
        "root=$(readlink -f .)",
        "stat -c %s file",
        "date +%s%N",
        "sed -i s/a/b/ file",
        "sed -r s/a/b/ file",
        r"sed 's/a\+/b/' file",
        "grep -oP a file",
        "ls | sort -V",
        "head -n -1 file",
        "find . -print0 | xargs -0 -r rm",
        "find . -printf %p",
        "cut --fields 1 file",
        "mkdir --parents a",
        "a | b | tail --lines 1",
        'cd "$(dirname "$0")/.."',
        'root=$(cd -P -- "$(dirname "$0")" && pwd)',
        'set -u\nnames=()\nfor name in "${names[@]}"; do :; done',
        'set -eu\nlocal names=()\necho "${names[*]}"',
    ],
)
def test_what_macos_lacks_is_found_in_a_script(line):
    assert list(faults(line, "script"))


@pytest.mark.parametrize(
    "line",
    [".ONESHELL:", "NOW != date", "a b &: c", "\t@timeout 5 true", "\t-@sed -i s/a/b/ $@"],
)
def test_what_macos_lacks_is_found_in_a_makefile(line):
    assert list(faults(line, "make"))


@pytest.mark.parametrize(
    "line",
    [
        "docker image rm --no-prune x",
        "git ls-files --cached",
        'set -u\nnames=()\nrun ${names[@]+"${names[@]}"} "${names[*]-}"',
        "sort -u file  # not sort -V",
        "pip install --quiet find",
        "sed -n 's/a/b/p' file",
        """root=$(CDPATH='' cd -P -- "$(dirname "$0")" && pwd)""",
    ],
)
def test_what_macos_has_is_let_through(line):
    assert not list(faults(line, "script"))


@pytest.fixture
def small_tools(tmp_path):
    """A PATH of busybox's tools, which know no GNU options, without those that macOS lacks."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    folder = tmp_path / "busybox"
    folder.mkdir()
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    for name in set(listed.stdout.split()) - set(ABSENT):
        (folder / name).symlink_to(busybox)
    for name in ("bash", "git", "make"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(found)
    return folder


def run(folder: Path, *command: str | Path, **variables: str) -> str:
    """Standard output of a command that has nothing but these tools."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={"PATH": str(folder), "HOME": "/nowhere", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_environment_is_made_with_small_tools(small_tools, tmp_path):
    machine = StandInMachine(tmp_path / "machine")
    shutil.rmtree(machine.path)
    shutil.copytree(small_tools, machine.path, symlinks=True)
    machine.add("python3", "3.10")
    assert "installed by 3.14" in machine.make("environment").stdout
    machine.add("python3.12", "3.12")
    (machine.checkout / ".venv/.unfinished").write_text("")
    assert "installed by 3.12" in machine.make("environment").stdout
    assert machine.make("help").stdout.startswith("help ")
    assert machine.make("clean").returncode == 0


def test_scripts_run_with_small_tools(small_tools, tmp_path):
    assert "train" in run(small_tools, "bash", "docker/build.sh", "--names", "all").split()
    run(small_tools, "bash", "docker/changes.sh")
    steps = run(small_tools, "bash", "docker/steps.sh", "x", "echo", "Step 1/2 : COPY a b")
    assert steps == "images: x: 0 s, step 1/2 COPY a b\n"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/slipway").symlink_to(REPOSITORY / "bin/slipway")
    if (REPOSITORY / ".venv/bin/python").exists():
        assert "slipway" in run(small_tools, "sh", str(tmp_path / "bin/slipway"), "--version")


def test_trainings_and_servers_start_with_small_tools(small_tools, tmp_path):
    """The container engine is a stand-in that writes down how it was called."""
    docker = small_tools / "docker"
    docker.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{tmp_path}/asked"\n')
    docker.chmod(0o755)
    job = tmp_path / "a job, ü"
    (job / "input/data/train").mkdir(parents=True)
    (job / "model").mkdir()
    (job / "model/model.json").write_text("{}")
    run(small_tools, "bash", "local_test/train.sh", "image", str(job), GPUS="none")
    run(small_tools, "bash", "local_test/serve.sh", "image", str(job))
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked.count("run") == 2
    assert (job / "input/config/inputdataconfig.json").exists()
