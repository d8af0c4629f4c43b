"""Small real jobs: photos of three colours, an /opt/ml tree, a training of a few seconds.

Training is imported where it is called: the tests without a training do not wait for torch.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recipes.hyperparameters import parse
from train.job import Job

REPOSITORY = Path(__file__).resolve().parents[2]
COLOURS = {"blue": (40, 60, 200), "green": (40, 180, 60), "red": (200, 40, 40)}
# a small, quick network that learns three colours in a few epochs
SMALL = {
    "model": "shufflenet_v2_x0_5",
    "weights": "none",
    "trainable": "all",
    "image_size": "32",
    "resize": "36",
    "epochs": "3",
    "batch_size": "8",
    "lr": "0.005",
    "augmentation": "none",
    "optimizer": "adamw",
    "quantize": "false",
}


def draw_photo(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    """A noisy photo of one colour, of a size of its own."""
    # Sizes differ, as those of real photos.
    random = np.random.default_rng(seed)
    height, width = random.integers(36, 64, 2)
    samples = np.clip(np.array(colour) + random.normal(0, 25, (height, width, 3)), 0, 255).astype(
        np.uint8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(samples).save(path, quality=92)


def draw_channel(
    folder: Path, photos_per_class: int, seed: int = 0, classes: dict = COLOURS
) -> Path:
    for number, (name, colour) in enumerate(sorted(classes.items())):
        for index in range(photos_per_class):
            draw_photo(folder / name / f"{name} {index}.jpg", colour, seed + 1000 * number + index)
    return folder


def make_job(root: Path, channels: dict[str, int], **hyperparameters: object) -> Job:
    """A job's tree. channels: photos per class; hyperparameters: changes to SMALL's."""
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "data").mkdir()
    for number, (name, count) in enumerate(channels.items()):
        draw_channel(root / "input" / "data" / name, count, seed=number * 100)
    texts = {**SMALL, **{name: str(value) for name, value in hyperparameters.items()}}
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(texts))
    return Job(root)


def train_job(job: Job):
    """Train in this process; the description of the artifact."""
    from train.run import run
    from train.stop import Stop

    return run(job, parse(job.hyperparameters()), Stop())


def run_main(job: Job, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """`python -m train` in this process: its exit code and all it printed."""
    from train.__main__ import main

    code = main(["--root", str(job.root)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def failure(job: Job) -> str:
    return (job.root / "output" / "failure").read_text()
