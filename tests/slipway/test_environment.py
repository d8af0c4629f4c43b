"""Which Python `make` takes for the environment, and what it says where there is none."""

import os
import re
import tomllib

import pytest

from tests.support.jobs import REPOSITORY
from tests.support.stand_in_pythons import StandInMachine

pytestmark = pytest.mark.slow

ROOT = "" if os.getuid() == 0 else "sudo "


@pytest.fixture
def machine(tmp_path):
    return StandInMachine(tmp_path)


@pytest.mark.parametrize(
    "pythons, taken",
    [
        ({"python3": "3.11"}, "3.11"),
        ({"python3": "3.12"}, "3.12"),
        ({"python3": "3.14"}, "3.14"),
        ({"python": "3.13"}, "3.13"),
        ({"python3": "3.10", "python3.11": "3.11"}, "3.11"),
        ({"python3": "3.12", "python3.13": "3.13"}, "3.13"),
        ({"python3": "3.12", "python3.13": "broken"}, "3.12"),
        ({"python3": "3.12", "python3.13": "3.13 bare"}, "3.12"),
        ({"python3": "3.15", "python3.14": "3.14"}, "3.14"),
    ],
)
@pytest.mark.parametrize("engine", ["docker", "process"])
def test_any_allowed_python_with_venv_is_taken(machine, pythons, taken, engine):
    for name, version in pythons.items():
        machine.add(name, version)
    done = machine.make(f".venv/.{engine}")
    assert done.returncode == 0, done.stderr
    assert f"environment: making .venv by Python {taken} (python" in done.stdout
    assert f"installed by {taken}" in done.stdout
    assert machine.make(f".venv/.{engine}").stdout == ""  # nothing is left to do


@pytest.mark.parametrize(
    "programs, said",
    [
        ({"python3": "3.10"}, "installing uv, for a moment, by python3\n"),
        ({"python3": "3.15"}, "installing uv, for a moment, by python3\n"),
        ({"uv": ""}, ""),
        ({"uv": "", "python3": "3.10"}, ""),
        ({"uv": "", "python3": "3.12 bare"}, ""),
    ],
)
def test_uv_fetches_a_python_where_none_fits(machine, tmp_path, programs, said):
    for name, version in programs.items():
        machine.add(name, version)
    (tmp_path / "temporary").mkdir()
    done = machine.make(".venv/.docker", TMPDIR=str(tmp_path / "temporary"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout
    if said:
        first, lines = lines.split("\n", 1)
        assert f"{first}\n" == f"environment: {said}"
    assert lines.startswith(
        "environment: Python 3.11 to 3.14 with venv is not here; "
        "uv fetches Python 3.14 into .venv-python\n"
    )
    assert "installed by 3.14" in lines
    assert list((tmp_path / "temporary").iterdir()) == []
    assert machine.make("clean").returncode == 0
    assert not (machine.checkout / ".venv-python").exists()


@pytest.mark.parametrize(
    "pythons, variables, sentence",
    [
        ({}, {}, f"no Python is here; type: {ROOT}apt-get install --yes python3 python3-venv"),
        (
            {"python3": "3.12 bare"},
            {},
            f"Python 3.12 lacks venv; type: {ROOT}apt-get install --yes python3.12-venv",
        ),
        (
            {"python3": "3.10 bare"},
            {},
            f"Python 3.10 lacks venv; type: {ROOT}apt-get install --yes python3.10-venv",
        ),
        (
            {"python3": "3.12"},
            {"PYTHON": ""},
            "PYTHON is empty; type: unset PYTHON; make environment",
        ),
        (
            {"python3": "3.12"},
            {"PYTHON": "python3.9"},
            "PYTHON is 'python3.9', which does not run; type: make PYTHON=python3 environment",
        ),
        (
            {"python3": "3.12", "python3.10": "3.10"},
            {"PYTHON": "python3.10"},
            "Python 3.11 to 3.14 is needed, and PYTHON='python3.10' is 3.10; "
            "without PYTHON one is found or fetched; type: unset PYTHON; make environment",
        ),
    ],
)
def test_what_is_missing_is_one_sentence_with_the_command(machine, pythons, variables, sentence):
    machine.add("apt-get", "broken")
    for name, version in pythons.items():
        machine.add(name, version)
    for place in ("environment", "command line"):
        words = [f"{name}={value}" for name, value in variables.items()]
        if place == "environment":
            done = machine.make(".venv/.process", **variables)
        else:
            done = machine.make(".venv/.process", *words)
        assert done.returncode
        assert done.stdout == ""
        first, rest = done.stderr.split("\n", 1)
        assert first == f"environment: {sentence}"
        assert re.fullmatch(r"make: \*\*\* .*\n", rest)
        assert not (machine.checkout / ".venv").exists()


def test_a_named_python_is_taken_and_replaces_another(machine):
    machine.add("python3.13", "3.13")
    machine.add("python3.12", "3.12")
    assert "installed by 3.13" in machine.make(".venv/.docker").stdout
    done = machine.make(".venv/.docker", "PYTHON=python3.12")
    assert "making .venv anew: it has Python 3.13, and PYTHON is 3.12" in done.stdout
    assert "installed by 3.12" in done.stdout
    assert machine.make(".venv/.docker", "PYTHON=python3.12").stdout == ""


def interrupted(venv):
    (venv / ".unfinished").write_text("")


def without_pip(venv):  # as after an upgrade of Debian: another Python looks elsewhere
    (venv / "bin/no-pip").write_text("")


def without_its_python(venv):
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/nowhere/python3.9")


def half_made(venv):
    (venv / "pyvenv.cfg").unlink()
    interrupted(venv)


@pytest.mark.parametrize(
    "harm, current",
    [
        (interrupted, True),
        (interrupted, False),
        (half_made, False),
        (without_its_python, True),
        (without_its_python, False),
        (without_pip, True),
        (without_pip, False),
    ],
)
def test_a_broken_environment_is_made_anew(machine, harm, current):
    """current: its stamp says that the packages are those of the lock."""
    machine.add("python3", "3.12")
    assert machine.make(".venv/.process").returncode == 0
    venv = machine.checkout / ".venv"
    harm(venv)
    if not current:
        (venv / ".process").unlink()
    (venv / "leftover").write_text("")
    done = machine.make(".venv/.process")
    assert done.returncode == 0, done.stderr
    assert "making .venv anew: its making was interrupted, or its Python is gone" in done.stdout
    assert not (venv / "leftover").exists()
    assert not (venv / ".unfinished").exists()
    assert (venv / ".process").exists()


def test_a_link_to_an_environment_stays_a_link(machine, tmp_path):
    machine.add("python3", "3.12")
    (tmp_path / "elsewhere").mkdir()
    (machine.checkout / ".venv").symlink_to(tmp_path / "elsewhere")
    assert machine.make(".venv/.docker").returncode == 0
    interrupted(tmp_path / "elsewhere")
    assert machine.make(".venv/.docker").returncode == 0
    assert (machine.checkout / ".venv").is_symlink()
    assert (tmp_path / "elsewhere/.docker").exists()


def test_a_folder_of_something_else_is_left_alone(machine):
    machine.add("python3", "3.12")
    (machine.checkout / ".venv").mkdir()
    (machine.checkout / ".venv/mine.txt").write_text("mine")
    done = machine.make(".venv/.docker")
    assert "'.venv' is no Python environment; type: mv '.venv' '.venv.old'" in done.stderr
    assert (machine.checkout / ".venv/mine.txt").read_text() == "mine"


def test_a_shells_cdpath_leads_nowhere_else(machine, tmp_path):
    machine.add("python3", "3.12")
    (tmp_path / "sources/slipway").mkdir(parents=True)
    script = ("sh", "slipway/environment.sh", "docker")
    done = machine.run(*script, CDPATH=str(tmp_path / "sources"))
    assert done.returncode == 0, done.stderr
    assert (machine.checkout / ".venv/.docker").exists()


def test_a_colon_in_the_path_is_said_before_anything_is_made(machine, tmp_path):
    machine.add("python3", "3.12")
    machine.checkout = machine.checkout.rename(tmp_path / "a:b")
    done = machine.make("environment")
    assert f"environment: '{tmp_path}/a:b' has a colon, which no environment" in done.stderr
    assert not (machine.checkout / ".venv").exists()


@pytest.mark.parametrize("place", ["environment", "command line"])
def test_a_folder_of_photos_may_have_any_name(machine, place):
    data = """/it's $HOME/a$b #1 (2) 50% ü, "q":=c"""
    machine.add("python3", "3.12")
    assert machine.make(".venv/.process").returncode == 0
    writes_down = 'case $1 in -m) printf "%s\\n" "$@" >asked ;; esac'
    machine.put(machine.checkout / ".venv/bin/python", f"#!/bin/sh\n{writes_down}\n")
    given = {"DATA": data} if place == "environment" else {}
    words = [] if given else [f"DATA={data}"]
    done = machine.make("demo", "ENGINE=process", *words, **given)
    assert done.returncode == 0, done.stderr
    asked = (machine.checkout / "asked").read_text().splitlines()
    assert asked[asked.index("--data") + 1] == data


def test_a_changed_lock_is_installed_and_an_unchanged_one_is_not(machine):
    machine.add("python3", "3.12")
    assert "requirements-dev.txt" in machine.make(".venv/.process").stdout
    lock = machine.checkout / "docker/requirements-dev.txt"
    os.utime(lock)  # as a checkout of another branch and back does
    assert machine.make(".venv/.process").stdout == ""
    assert machine.make(".venv/.docker").stdout == ""  # the tests' packages hold the host's
    lock.write_text("# another\n")
    done = machine.make(".venv/.process")
    assert "making" not in done.stdout
    assert "requirements-dev.txt docker/requirements-smdebug.txt" in done.stdout


@pytest.mark.parametrize("kind", ["mutants", "docs"])
def test_packages_that_disagree_with_the_tests_lie_apart(machine, kind):
    machine.add("python3", "3.12")
    done = machine.make(f".venv/.{kind}")
    assert f"making .venv-{kind} by Python 3.12" in done.stdout
    assert (machine.checkout / f".venv-{kind}/.{kind}").exists()


def test_slipway_without_make_names_the_command(machine):
    (machine.path / "make").unlink()
    machine.add("apt-get", "broken")
    done = machine.run("sh", "bin/slipway", "doctor")
    assert done.returncode == 1
    assert done.stderr == f"slipway: make is missing; type: {ROOT}apt-get install --yes make\n"


def test_the_project_says_its_versions_as_the_script_reads_them():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert re.fullmatch(r">=3\.\d+,<3\.\d+", project["requires-python"])
