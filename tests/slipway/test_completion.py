"""Completion: what a shell is offered comes from the parsers of the commands themselves."""

import shutil
import subprocess

import pytest

from tests.support.own_checkout import run


def offered(program, folder, line: str) -> list[str]:
    """The words that a shell gets for a line with the cursor at its end."""
    file = folder / "offered"
    run(
        program,
        folder=folder,
        _ARGCOMPLETE="1",
        _ARGCOMPLETE_STDOUT_FILENAME=str(file),
        _ARGCOMPLETE_SUPPRESS_SPACE="1",
        COMP_LINE=line,
        COMP_POINT=str(len(line)),
    )
    return [word for word in file.read_text().split("\013") if word]


def test_commands(program, tmp_path):
    assert offered(program, tmp_path, "slipway t") == ["train", "tune"]
    assert "local-sagemaker" in offered(program, tmp_path, "slipway ")


def test_options_of_an_own_command(program, tmp_path):
    assert offered(program, tmp_path, "slipway train --ph") == ["--photos"]


def test_options_of_a_package(program, tmp_path):
    assert offered(program, tmp_path, "slipway tune --wor") == ["--workers"]


def test_the_launcher_and_its_short_names(program, tmp_path):
    assert offered(program, tmp_path, "slipway launch dep") == ["deploy"]
    assert offered(program, tmp_path, "slipway launch check --dr") == ["--dry-run"]
    assert offered(program, tmp_path, "slipway check --dr") == ["--dry-run"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_code_of_each_shell(shell, program, tmp_path):
    done = run(program, "completion", shell, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "slipway" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True)


def test_bash_completes(program, tmp_path):
    script = f"""
        PATH='{program.parent}':$PATH
        eval "$(slipway completion bash)"
        COMP_LINE='slipway doc' COMP_POINT=11 COMP_TYPE=9 COMP_WORDS=(slipway doc) COMP_CWORD=1
        _python_argcomplete slipway doc slipway
        echo "${{COMPREPLY[@]}}"
    """
    done = run("bash", "-c", script, folder=tmp_path)
    assert done.stdout.strip() == "doctor"


def test_an_unknown_shell_is_refused(program, tmp_path):
    done = run(program, "completion", "tcsh", folder=tmp_path)
    assert done.returncode == 2
