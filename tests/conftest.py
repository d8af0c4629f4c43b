"""Small real things that many tests start from: photos, jobs, artifacts, a container engine."""

import fcntl
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.recipe import read_recipe
from runtime import docker
from tests.support.colour_model import colour_job
from tests.support.jobs import REPOSITORY, make_job, train_job
from tests.support.launching import ScriptedAws
from tests.support.registries import no_credentials
from train.job import Job


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Makes scripts on a recipe of this repository, the demo's unless another is named."""
    no_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return lambda name="demo", **options: ScriptedAws(
        read_recipe(REPOSITORY / f"recipes/{name}.yaml"), tmp_path, **options
    )


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stores of trainings in tests lie apart from the user's own, in processes they start, too."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job's tree with an artifact made by hand, without a training; read it, don't change it."""
    return colour_job(tmp_path_factory.mktemp("colours") / "ml")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished training of the small network on three colours; read it, don't change it."""
    job = make_job(
        tmp_path_factory.mktemp("trained") / "ml",
        {"train": 16, "validation": 4, "test": 6},
        epochs=14,
        quantize="true",
    )
    train_job(job)
    return job


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The project's images in a Docker engine, built if need be.

    Without an engine the test is skipped; with REQUIRE_DOCKER=1 it fails.
    """
    if not docker.answers():
        message = "no Docker engine answers `docker info`: the containers are not tested"
        pytest.fail(message) if os.environ.get("REQUIRE_DOCKER") == "1" else pytest.skip(message)
    with (Path(tempfile.gettempdir()) / f"slipway-images-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # test processes side by side: one builds, the others find all done
        built = subprocess.run(
            ["make", "images"], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return {
        "train": "slipway-train",
        "serve": "slipway-serve",
        "serve-gpu": "slipway-serve-gpu",
        "serve-mms": "slipway-serve-mms",
    }


@pytest.fixture(autouse=True)
def log_as_it_was():
    """A command that a test calls leaves no log handler behind: its stream closes with the test."""
    root, level = logging.getLogger(), logging.getLogger().level
    before = list(root.handlers)
    yield
    for handler in [
        entry
        for entry in root.handlers
        if type(entry) is logging.StreamHandler and entry not in before
    ]:
        root.removeHandler(handler)
    root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Containers last: what fails fast is told first."""
    items.sort(key=lambda item: item.get_closest_marker("docker") is not None)
