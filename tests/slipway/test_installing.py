"""Installing the locks: what it shows, and what an interruption leaves."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.installing import EVERY_S, Progress, locked
from tests.support.package_index import package_index, write_wheel
from tests.support.stand_in_pythons import StandInMachine

DEADLINE_S = 120


@pytest.fixture
def progress(tmp_path):
    return Progress(183, tmp_path / "temporary", tmp_path / "venv")


def test_a_lock_is_counted_by_its_packages(tmp_path):
    lock = tmp_path / "lock.txt"
    lock.write_text("# a\nnumpy==2.4.6 \\\n    --hash=sha256:00\n    # via torch\ntorch==2.10.0\n")
    assert locked([lock, lock]) == 4


def test_big_packages_get_a_line_each(progress, capsys):
    progress.take("Ignoring colorama: markers 'sys_platform == \"win32\"' don't match")
    progress.take("Collecting torch==2.10.0")
    progress.take(
        "  Downloading torch-2.10.0-cp313-cp313-manylinux_2_28_x86_64.whl.metadata (31 kB)"
    )
    progress.take("  Downloading torch-2.10.0-cp313-cp313-manylinux_2_28_x86_64.whl (915.6 MB)")
    progress.take(
        "  Using cached nvidia_cudnn_cu12-9.10.2-py3-none-manylinux_2_27_x86_64.whl (1.2 GB)"
    )
    progress.take("  Downloading six-1.17.0-py2.py3-none-any.whl (11 kB)")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "environment: fetching torch-2.10.0 (916 MB), 0 s",
        "environment: fetching nvidia_cudnn_cu12-9.10.2 (1200 MB), 0 s",
    ]
    assert progress.total == 182
    assert len(progress.names) == 3


@pytest.mark.parametrize(
    "said, last",
    [
        ("No matching distribution found for a==1.0", "the reason stands above"),
        ("[Errno 28] No space left on device", "is full ("),
    ],
)
def test_a_failure_ends_with_its_reason(progress, capsys, said, last):
    progress.venv.mkdir()
    for line in ("Collecting a==1.0", "Collecting b==1.0", f"ERROR: {said}"):
        progress.take(line)
    progress.complain()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"ERROR: {said}"
    assert lines[-1].startswith("environment: the packages are not installed: ")
    assert last in lines[-1]


def unpack(venv, name):
    about = venv / f"lib/python3.13/site-packages/{name}-1.dist-info"
    about.mkdir(parents=True)
    (about / "RECORD").write_text("")


def test_a_line_comes_every_few_seconds(progress, capsys):
    assert EVERY_S < 10
    progress.beat()
    assert capsys.readouterr().out == ""
    (progress.temporary / "unpack").mkdir(parents=True)
    (progress.temporary / "unpack/torch-2.10.0.whl").write_bytes(bytes(3_000_000))
    progress.take("  Downloading torch-2.10.0.whl (4.2 MB)")
    progress.spoke -= EVERY_S
    progress.beat()
    unpack(progress.venv, "pip")  # which the environment has from the beginning
    progress.take("Installing collected packages: a, b, c")
    unpack(progress.venv, "a")
    progress.spoke -= EVERY_S
    progress.beat()
    progress.beat()
    assert capsys.readouterr().out.splitlines() == [
        "environment: 1 of 183 packages fetched, 3 MB, at torch-2.10.0.whl, 0 s",
        "environment: unpacking 3 packages",
        "environment: unpacked 1 of 3 packages, 0 s",
    ]


@pytest.fixture
def machine(tmp_path):
    """Real Python and pip; the packages come from an index on this machine."""
    version = f">=3.{sys.version_info[1]},<3.{sys.version_info[1] + 1}"
    machine = StandInMachine(tmp_path / "machine", version)
    (machine.path / "python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    return machine


def settings(index):
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": index.url, "PIP_CONFIG_FILE": os.devnull}


@pytest.mark.verify
def test_an_environment_is_made_and_needs_no_network_the_second_time(machine, tmp_path):
    (tmp_path / "wheels").mkdir()
    lines = [write_wheel(tmp_path / "wheels", name) for name in ("one", "two")]
    (machine.checkout / "docker/requirements-dev.txt").write_text("".join(lines))
    three = write_wheel(tmp_path / "wheels", "three")
    (machine.checkout / "docker/requirements-smdebug.txt").write_text(three)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "pip.conf").write_text(
        f"[install]\nuser = true\ntarget = {elsewhere}\nno-binary = :all:\ndry-run = true\n"
    )
    with package_index(tmp_path / "wheels") as index:
        # As a user who has no entry in /etc/passwd and no home, with the strictest umask
        done = machine.run(
            *("sh", "-c", "umask 077; exec make environment LANG=C"),
            **settings(index) | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")},
            LC_ALL="C",
            PIP_USER="1",
            PYTHONHOME="/nowhere",
            TMPDIR="/nowhere",
        )
    assert not elsewhere.exists()
    assert done.returncode == 0, done.stderr
    version = re.escape(sys.version.split()[0])
    made = rf"environment: made \.venv: Python {version}, 3 packages, \d+ MB, \d+ s"
    assert re.fullmatch(made, done.stdout.splitlines()[-1])
    assert "\r" not in done.stdout
    python = machine.checkout / ".venv/bin/python"
    assert machine.run(python, "-c", "import one, two, three").returncode == 0
    again = machine.make("environment")
    assert (again.stdout, again.stderr) == ("", "")
    assert not list((machine.checkout / ".venv").glob(".pip-*"))


@pytest.mark.verify
def test_a_package_that_cannot_be_had_leaves_the_environment_whole(machine, tmp_path):
    (tmp_path / "wheels").mkdir()
    lock = machine.checkout / "docker/requirements-host.txt"
    lock.write_text("absent==1.0 --hash=sha256:" + 64 * "0" + "\n")
    with package_index(tmp_path / "wheels") as index:
        done = machine.make(".venv/.docker", **settings(index))
        assert done.returncode
        assert "No matching distribution found for absent==1.0" in done.stderr
        lock.write_text(write_wheel(tmp_path / "wheels", "present"))
        done = machine.make(".venv/.docker", **settings(index))
    assert done.returncode == 0, done.stderr
    assert "making" not in done.stdout


@pytest.mark.verify
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_installation_is_made_good(machine, tmp_path, number):
    (tmp_path / "wheels").mkdir()
    lock = machine.checkout / "docker/requirements-host.txt"
    lock.write_text(write_wheel(tmp_path / "wheels", "late"))
    with package_index(tmp_path / "wheels") as index:
        index.held = "late"
        variables = {"PATH": str(machine.path), **settings(index)}
        with subprocess.Popen(
            ["make", ".venv/.docker"],
            cwd=machine.checkout,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as first:
            assert index.asked.wait(DEADLINE_S)
            beside = machine.make(".venv/.docker", **settings(index))
            os.killpg(first.pid, number)
        assert re.search(
            r"process (\d+) is installing into \.venv; wait for its end, or type: kill \1\n",
            beside.stderr,
        )
        index.let_go.set()
        done = machine.make(".venv/.docker", **settings(index))
    assert done.returncode == 0, done.stderr
    anew = "making .venv anew: its making was interrupted" in done.stdout
    assert anew == (number == signal.SIGKILL)
    assert "1 packages" in done.stdout.splitlines()[-1]
