"""The one door: every command of it answers, and an unknown command is refused."""

import re
import subprocess
import sys

import pytest

from slipway.commands import COMMANDS
from tests.support.jobs import REPOSITORY
from tests.support.own_checkout import run


def slipway(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "slipway", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_without_a_command_it_lists_them():
    done = slipway()
    assert done.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_first_line_of_help_is_what_the_user_typed():
    for words, usage in ((["prepare"], "slipway prepare"), (["check"], "slipway check")):
        done = slipway(*words, "--help")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"usage: {usage} [-h]")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_answers_help(command):
    done = slipway(command, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")
    # A line of help fits a terminal of 80 columns; a word alone cannot be wrapped.
    long = [line for line in done.stdout.splitlines() if len(line) > 80 and " " in line.strip()]
    assert long == []


def test_exit_codes_are_the_module_s_own(tmp_path):
    done = slipway("prepare", str(tmp_path / "nothing"), str(tmp_path / "out"))
    direct = subprocess.run(
        [sys.executable, "-m", "prepare", str(tmp_path / "nothing"), str(tmp_path / "out")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == direct.returncode == 1
    assert done.stderr == direct.stderr


@pytest.mark.parametrize(
    "words, guess",
    [
        (["tran"], "'tran' is not a command (did you mean 'train'?)"),
        (["local_sagemaker"], "(did you mean 'local-sagemaker'?)"),
        (["launch", "deplyo", "r.yaml"], "(did you mean 'deploy'?)"),
        (
            ["check", "r.yaml", "--dry-rnu"],
            "unrecognized arguments: --dry-rnu (did you mean '--dry-run'?)",
        ),
        (["train", "r.yaml", "--photo-s", "x"], "(did you mean '--photos'?)"),
    ],
)
def test_a_mistyped_name_gets_the_nearest(words, guess):
    done = slipway(*words)
    assert done.returncode == 2
    assert guess in done.stderr


def test_a_name_that_is_like_none_gets_no_guess():
    done = slipway("xyzzy")
    assert done.stderr == "slipway: 'xyzzy' is not a command; `slipway --help` lists them\n"


def test_the_version_has_the_commit():
    done = slipway("--version")
    assert re.fullmatch(r"slipway \S+ \(.+\)\n", done.stdout)


def test_push_is_the_script(program, tmp_path):
    """It refuses an image that is none before anything is built."""
    (tmp_path / "recipe.yaml").write_text("name: mine\n")
    done = run(program, "push", "trian", folder=tmp_path)
    assert done.returncode == 1
    assert "unknown image 'trian'; known: " in done.stderr
    assert not (tmp_path / "out").exists()
