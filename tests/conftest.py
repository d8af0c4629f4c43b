"""Small real things that many tests start from: photos, jobs, a trained artifact, a container engine."""

import fcntl
import json
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from launching import Script
from PIL import Image
from registries import no_credentials

from launch.recipe import read_recipe
from local_test.engines import engine_answers
from train.__main__ import main
from train.hyperparameters import parse
from train.job import Job
from train.run import run
from train.stop import Stop

REPOSITORY = Path(__file__).resolve().parent.parent
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 40, 40)}
# a small, quick network that learns three colours in a few epochs
SMALL = {"model": "shufflenet_v2_x0_5", "weights": "none", "trainable": "all", "image_size": "32", "resize": "36",
         "epochs": "3", "batch_size": "8", "lr": "0.005", "augmentation": "none", "optimizer": "adamw", "quantize": "false"}


def draw_photo(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    """A noisy photo of one colour, of a size of its own."""
    random = np.random.default_rng(seed)
    height, width = random.integers(36, 64, 2)
    samples = np.clip(np.array(colour) + random.normal(0, 25, (height, width, 3)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path, quality=92)


def draw_channel(folder: Path, photos_per_class: int, seed: int = 0, classes: dict = COLOURS) -> Path:
    for number, (name, colour) in enumerate(sorted(classes.items())):
        for index in range(photos_per_class):
            draw_photo(folder / name / f"{name} {index}.jpg", colour, seed + 1000 * number + index)
    return folder


def make_job(root: Path, channels: dict[str, int], **hyperparameters: object) -> Job:
    """A job's tree: for each channel so many photos a class; SMALL's hyperparameters, changed as given."""
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "data").mkdir()
    for number, (name, count) in enumerate(channels.items()):
        draw_channel(root / "input" / "data" / name, count, seed=number * 100)
    texts = {**SMALL, **{name: str(value) for name, value in hyperparameters.items()}}
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(texts))
    return Job(root)


def train_job(job: Job):
    """Train in this process; the description of the artifact."""
    return run(job, parse(job.hyperparameters()), Stop())


def run_main(job: Job, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """`python -m train` in this process: its exit code and all it printed."""
    code = main(["--root", str(job.root)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def failure(job: Job) -> str:
    return (job.root / "output" / "failure").read_text()


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Makes scripts on a recipe of this repository, the demo's unless another is named."""
    no_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return lambda name="demo", **options: Script(read_recipe(REPOSITORY / f"recipes/{name}.yaml"), tmp_path, **options)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stores of trainings in tests, and of the processes they start, lie apart from the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLIPWAY_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished training of the small network on three colours; read it, don't change it."""
    job = make_job(tmp_path_factory.mktemp("trained") / "ml", {"train": 16, "validation": 4, "test": 6}, epochs=14, quantize="true")
    train_job(job)
    return job


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """The project's images in a Docker engine, built if need be; skips, or fails with REQUIRE_DOCKER=1, without one."""
    if not engine_answers():
        message = "no Docker engine answers `docker info`: the containers are not tested"
        pytest.fail(message) if os.environ.get("REQUIRE_DOCKER") == "1" else pytest.skip(message)
    with (Path(tempfile.gettempdir()) / f"slipway-images-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes side by side: one builds, the others find all done
        built = subprocess.run(["make", "images"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    return {"train": "slipway-train", "serve": "slipway-serve", "serve-gpu": "slipway-serve-gpu", "serve-mms": "slipway-serve-mms"}


@pytest.fixture(autouse=True)
def log_as_it_was():
    """A command that is called within a test leaves no handler behind, whose stream is the test's own and closed after it."""
    root, level = logging.getLogger(), logging.getLogger().level
    before = list(root.handlers)
    yield
    for handler in [entry for entry in root.handlers if type(entry) is logging.StreamHandler and entry not in before]:
        root.removeHandler(handler)
    root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Containers last: what fails fast is told first."""
    items.sort(key=lambda item: item.get_closest_marker("docker") is not None)
