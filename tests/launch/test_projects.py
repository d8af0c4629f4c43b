"""A project's own folder: its recipe is found, its notes and files lie there."""

import json

import pytest

from launch.__main__ import main, parse
from launch.check import shown as shown_finding
from launch.findings import BAD, Finding
from launch.monitoring import status
from launch.recipe import located
from slipway.init import create
from tests.support.jobs import REPOSITORY
from tests.support.launching import JOB, training


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = create(tmp_path / "mine", None)
    monkeypatch.chdir(folder)
    return folder


def test_the_recipe_of_the_folder_is_found(project):
    options = parse(["check"])
    assert str(options.recipe) == "recipe.yaml"
    assert options.out == project / "out"
    assert str(parse(["check", "other.yaml"]).recipe) == "other.yaml"


def test_photos_are_told_from_a_recipe(project):
    options = parse(["invoke", "a.jpg", "b.jpg", "--json"])
    assert (str(options.recipe), options.photos) == ("recipe.yaml", ["a.jpg", "b.jpg"])
    options = parse(["invoke", "other.yaml", "--json", "a.jpg"])
    assert (str(options.recipe), options.photos) == ("other.yaml", ["a.jpg"])
    assert parse(["batch", "photos"]).photos == "photos"


def test_files_of_another_project_are_never_taken(project):
    """The checkout has a folder and a file of these names."""
    assert located("recipes") == (project / "recipes").relative_to(project)
    assert located("pyproject.toml", of_all_projects=True) == REPOSITORY / "pyproject.toml"


def test_a_project_s_costs(project, capsys):
    assert main(["cost", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "endpoint (serverless), per month" in [row["step"] for row in rows]


def test_a_project_s_requests(project, capsys, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    role = "arn:aws:iam::123456789012:role/SlipwayRole"
    recipe = project / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("# role: SlipwayRole", f"role: {role} "))
    assert main(["train", "--dry-run"]) == 0
    calls = json.loads(capsys.readouterr().out)
    assert "CreateTrainingJob" in [call["operation"] for call in calls]


def test_what_was_started_as_json(script):
    one = script(json=True)
    for _ in range(2):
        one.no_endpoint()
    assert status(one.context) == 0
    assert one.printed == []
    one.context.note("training", JOB)
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    assert status(one.context) == 0
    row = json.loads(one.finished())
    assert (row["kind"], row["name"]) == ("training", JOB)
    assert row["state"].startswith("InProgress")


def test_a_finding_as_json():
    finding = Finding(BAD, "the bucket: it is not there")
    assert json.loads(shown_finding(finding, True)) == {
        "level": "failed",
        "text": "the bucket: it is not there",
    }
