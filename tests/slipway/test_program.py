"""bin/slipway: through links, from any folder, on its checkout's environment, never shadowed."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.support.jobs import REPOSITORY, draw_channel
from tests.support.own_checkout import make_checkout, run


def test_a_link_on_path_finds_its_checkout(program, tmp_path):
    done = run("slipway", "--version", folder=tmp_path, PATH=f"{program.parent}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"slipway \d+\.\d+\.\d+ \(([0-9a-f]{12}(-dirty)?|unknown commit)\)\n", done.stdout
    )


def test_a_link_to_its_folder_finds_its_checkout_too(program, tmp_path):
    checkout = program.resolve().parents[1]
    (tmp_path / "bin").symlink_to(checkout / "bin")
    done = run(tmp_path / "bin/slipway", "--version", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_modules_of_the_current_folder_shadow_nothing(program, tmp_path):
    """Neither in the program nor in the ones that it starts."""
    for name in ("train", "prepare", "yaml", "slipway", "recipes", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "runtime").mkdir()
    (tmp_path / "runtime/__init__.py").write_text("raise SystemExit('shadowed')\n")
    draw_channel(tmp_path / "photos", 3)
    done = run(program, "prepare", "photos", "--workers", "1", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "photos=9" in done.stdout
    assert (tmp_path / "out/prepared/report.html").is_file()


def test_what_a_shell_holds_for_another_python_changes_nothing(program, tmp_path):
    """Such as a robot's, whose packages are of another version."""
    for name in ("recipes", "yaml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    others = {"PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "CDPATH": str(tmp_path)}
    done = run(program, "schema", folder=tmp_path, **others)
    assert done.returncode == 0, done.stderr


def test_a_colon_in_the_path_is_said(program, tmp_path):
    (tmp_path / "a:b").mkdir()
    (tmp_path / "a:b/bin").symlink_to(program.resolve().parent)
    (tmp_path / "c:d/bin").mkdir(parents=True)
    shutil.copy(program.resolve(), tmp_path / "c:d/bin/slipway")
    assert run(tmp_path / "a:b/bin/slipway", "--version", folder=tmp_path).returncode == 0
    done = run(tmp_path / "c:d/bin/slipway", "--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"slipway: '{tmp_path}/c:d' has a colon, which no environment")


def test_without_an_environment_it_says_what_to_type(tmp_path):
    checkout = make_checkout(tmp_path / "a stranger's $check out", environment=False)
    done = run(checkout / "bin/slipway", "train", folder=tmp_path)
    assert done.returncode == 1
    command = done.stderr.removeprefix("slipway: the environment is missing; type: ")
    assert shlex.split(command) == ["make", "-C", str(checkout), "environment"]


def test_an_environment_that_lacks_a_package_says_what_to_type(tmp_path):
    """Such as one whose making was interrupted."""
    checkout = make_checkout(tmp_path / "checkout", environment=False)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout / ".venv"], check=True)
    done = run(checkout / "bin/slipway", "schema", folder=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        r"slipway: the environment lacks '\w+'; type: make -C '.*' environment\n", done.stderr
    )


def test_the_script_takes_nothing_that_some_systems_lack():
    text = (REPOSITORY / "bin/slipway").read_text()
    assert text.startswith("#!/bin/sh\n")
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for word in ("readlink -f", "realpath", "[[", "local "):
        assert word not in code


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_other_shells_run_it(shell, program, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    words = [shell, "sh"] if shell == "busybox" else [shell]
    done = run(words[0], *words[1:], str(program), "--version", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("slipway ")


@pytest.mark.parametrize("command", ["--help", "schema", "launch train recipe.yaml --dry-run"])
def test_a_reader_may_leave_early(command, program, tmp_path):
    """More is written than a pipe holds, or little, at the end."""
    recipe = {
        "name": "x",
        "hyperparameters": {f"name{number}": "x" * 2000 for number in range(90)},
        "sagemaker": {"image_uris": {"train": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x:1"}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    script = f"set -o pipefail; '{program}' {command} 2>errors | true; echo ${{PIPESTATUS[0]}}"
    done = run("bash", "-c", script, folder=tmp_path, AWS_REGION="eu-west-1")
    errors = (tmp_path / "errors").read_text()
    assert "Traceback" not in errors
    assert "failed" not in errors
    assert done.stdout in ("0\n", "1\n")
