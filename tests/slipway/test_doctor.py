"""slipway doctor: what it finds, and the command that mends it."""

import json

import pytest

from slipway import checks
from slipway.checks import MISSING, NOTE, OK
from slipway.init import create
from tests.support.fake_engines import only
from tests.support.own_checkout import run


def test_a_line_per_check_for_people_and_programs(program, tmp_path):
    words = run(program, "doctor", folder=tmp_path)
    assert words.stdout.splitlines()[-1].startswith("doctor: checks=10 missing=")
    asked = run(program, "doctor", "--json", folder=tmp_path)
    rows = [json.loads(line) for line in asked.stdout.splitlines()]
    assert [row["name"] for row in rows] == [
        *("python", "git", "docker", "environment", "images"),
        *("disk", "memory", "gpu", "aws", "project"),
    ]
    assert asked.returncode == int(any(row["state"] == MISSING for row in rows))


def test_without_docker_it_names_the_package(tmp_path, monkeypatch):
    only(tmp_path / "bin", monkeypatch)
    found = checks.container_engine()
    assert (found.state, found.mend) == (NOTE, "sudo apt-get install docker.io")
    assert checks.git().mend == "sudo apt-get install git"
    assert checks.gpu(False).state == OK
    assert checks.images(False).state == NOTE


@pytest.mark.parametrize(
    "says, mend",
    [
        ("permission denied while trying to connect", 'sudo usermod -aG docker "$USER"'),
        ("Cannot connect to the Docker daemon", "sudo systemctl start docker"),
    ],
)
def test_an_engine_that_does_not_answer(says, mend, tmp_path, monkeypatch):
    only(tmp_path / "bin", monkeypatch, docker=f"echo '{says}' >&2; exit 1")
    assert checks.container_engine().mend.startswith(mend)


def test_packages_that_lack(monkeypatch):
    monkeypatch.setattr(checks, "PACKAGES", ("json", "no_such_package"))
    found = checks.packages(has_engine=False)
    assert found.state == MISSING
    assert found.mend.startswith("make -C ")
    assert "no_such_package" in found.found
    assert checks.packages(has_engine=True).state == NOTE


def test_the_project_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checks.project().mend == "slipway init NAME"
    folder = create(tmp_path / "mine", None)
    monkeypatch.chdir(folder)
    assert checks.project().state == OK
    (folder / "photos").rmdir()
    assert "does not exist" in checks.project().found
    (folder / "recipe.yaml").write_text("name: x\nhyperparametres: {}\n")
    broken = checks.project()
    assert broken.state == MISSING
    assert "did you mean 'hyperparameters'?" in broken.found


def test_credentials_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in checks.AWS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert checks.aws().mend == "aws configure"
    monkeypatch.setenv("AWS_PROFILE", "x")
    assert checks.aws().state == OK
