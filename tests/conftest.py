"""Small real things that many tests start from: photos, jobs, artifacts, a container engine."""

import fcntl
import functools
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore.session
import pytest

from artifact.host.listening import ask_loopback_directly
from artifact.host.machine import name_user
from artifact.text.names import writable
from launch.recipe import read_recipe
from runtime import docker
from tests.support.colour_model import colour_job
from tests.support.jobs import REPOSITORY, make_job, train_job
from tests.support.launching import ScriptedAws
from tests.support.registries import no_credentials
from train.job import Job

# A test that asks for one of these needs a training.
TRAINING_FIXTURES = {"trained", "healthy", "stuck", "sound"}

# The tests' own requests to their servers must not go to a proxy.
ask_loopback_directly()
# torch in this process asks for the user's name, too.
name_user()

# Each of boto3's sessions reads the services' descriptions anew, which takes most of its time:
# all sessions of the tests share one reader.
botocore.session.create_loader = functools.cache(botocore.session.create_loader)

# A shell ignores SIGINT for what it runs in the background; so would all that a test starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
    """A finished training of the small network on three colours; read it, don't change it.

    Test processes side by side share one: the first to come trains, the others wait for it.
    """
    folder = shared_folder(tmp_path_factory) / "trained"
    folder.mkdir(exist_ok=True)
    finished = folder / "finished"
    with alone(folder / "lock"):
        if not finished.exists():
            channels = {"train": 16, "validation": 4, "test": 6}
            train_job(make_job(folder / "ml", channels, epochs=14, quantize="true"))
            finished.touch()
    return Job(folder / "ml")


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of the whole run, which its test processes share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file: one test process at a time goes on."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The project's images in a Docker engine, built if need be.

    Without an engine the test is skipped; with REQUIRE_DOCKER=1 it fails.
    """
    if not docker.answers():
        message = "no container engine answers: the containers are not tested"
        pytest.fail(message) if os.environ.get("REQUIRE_DOCKER") == "1" else pytest.skip(message)
    # One test process builds. The others find everything done.
    with alone(Path(tempfile.gettempdir()) / f"slipway-images-{os.getuid()}.lock"):
        command = ["make", "images"]
        built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    # Their tag latest may be moved by another checkout while the tests run.
    kinds = ("train", "serve", "serve-gpu", "serve-mms", "serve-mms-torch")
    return {kind: docker.own_image(f"slipway-{kind}") for kind in kinds}


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """A command that a test calls leaves no log handler behind: its stream closes with the test."""
    root = logging.getLogger()
    level = root.level
    before = list(root.handlers)
    yield
    for handler in list(root.handlers):
        if type(handler) is logging.StreamHandler and handler not in before:
            root.removeHandler(handler)
    root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what trains by its fixtures. Containers go last: what fails fast is shown first."""
    for item in items:
        if TRAINING_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.training)
    items.sort(key=lambda item: item.get_closest_marker("docker") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what UTF-8 cannot hold in captured output: processes of tests report in UTF-8."""
    report = yield
    report.sections = [(title, writable(text)) for title, text in report.sections]
    return report
