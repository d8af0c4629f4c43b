"""The one door: every command of it answers, and an unknown command is refused."""

import subprocess
import sys

import pytest

from slipway.__main__ import COMMANDS
from tests.support.jobs import REPOSITORY


def slipway(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "slipway", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_without_a_command_it_lists_them():
    done = slipway()
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("command", ["prepare", "tune", "diagnose", "launch", "conformance"])
def test_a_command_is_the_module_s_own(command):
    done = slipway(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")


def test_exit_codes_are_the_module_s_own(tmp_path):
    done = slipway("prepare", str(tmp_path / "nothing"), str(tmp_path / "out"))
    direct = subprocess.run(
        [sys.executable, "-m", "prepare", str(tmp_path / "nothing"), str(tmp_path / "out")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == direct.returncode
    assert done.stderr == direct.stderr


def test_an_unknown_command_is_refused():
    done = slipway("tran")
    assert done.returncode == 2
    assert "'tran' is not a command; known: prepare, train," in done.stderr
