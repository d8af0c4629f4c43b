"""Fixtures of the launcher's tests."""

import pytest

from launch.recipe import read_recipe
from tests.support.jobs import draw_channel
from tests.support.launching import ScriptedAws
from tests.support.registries import no_credentials


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """A function that makes a ScriptedAws with a small recipe, for a kind of endpoint."""
    no_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    def made(kind: str = "real-time", **options: object) -> ScriptedAws:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            "name: colours\nhyperparameters: {model: resnet18}\n"
            f"sagemaker:\n  bucket: photos\n  endpoint: {{kind: {kind}}}\n"
        )
        return ScriptedAws(read_recipe(path), tmp_path, **options)

    return made


@pytest.fixture
def photos(tmp_path):
    return draw_channel(tmp_path / "photos", 1)
