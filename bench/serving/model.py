"""A trained ResNet50 of 133 classes to serve, made by this project's own trainer.

Three trainings make it, as no weights can be fetched everywhere; it takes 40 minutes on two cores.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.sections import REPOSITORY
from bench.serving.photos import draw_set

# channel: photos per class, seed
PHOTOS = {"train": (40, 1), "validation": (3, 2), "test": (2, 3)}
LARGE_PHOTOS = 12  # of a class's training photos, for the second training
COMMON: dict[str, object] = {
    "model": "resnet50",
    "optimizer": "adamw",
    "schedule": "cosine",
    "augmentation": "none",
    "precision": "bfloat16",
}
# First all layers at small photos, where an epoch is quick.
SMALL = COMMON | {
    "weights": "none",
    "trainable": "all",
    "image_size": 64,
    "resize": 64,
    "epochs": 5,
    "batch_size": 32,
    "lr": 0.001,
    "warmup_epochs": 1,
    "quantize": "false",
}
# Then all layers at the size that is served, on a few photos.
LARGE = COMMON | {
    "weights": "start",
    "trainable": "all",
    "image_size": 224,
    "resize": 256,
    "epochs": 7,
    "batch_size": 16,
    "lr": 0.0004,
    "quantize": "false",
}
# Then the last stage on all photos, the rest frozen.
LAST = COMMON | {
    "weights": "start",
    "trainable": "layer4",
    "image_size": 224,
    "resize": 256,
    "epochs": 6,
    "batch_size": 32,
    "lr": 0.0005,
}


# A try of the bench: one epoch on little photos.
QUICK_PHOTOS = {"train": (2, 1), "validation": (1, 2), "test": (1, 3)}
QUICK = SMALL | {"epochs": 1, "warmup_epochs": 0}


def trained_model(out: Path, fresh: bool, quick: bool) -> tuple[Path, Path]:
    """The model's folder, and that of the photos it never saw.

    Both are kept in `out` for the next run. quick: one epoch, which learns next to nothing.
    RuntimeError when training fails.
    """
    last = out / ("quick" if quick else "sure")
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    if quick:
        _draw(last, QUICK_PHOTOS)
        _train(last, QUICK)
    elif not _is_done(last):
        _make(out / "small", out / "large", last)
    description = json.loads((last / "model" / "model.json").read_text(encoding="utf-8"))
    accuracy = description["accuracy"]["test"]
    print(
        f"bench-serve: ResNet50, 133 classes, accuracy on photos it never saw {accuracy:.3f}",
        flush=True,
    )
    return last / "model", last / "input" / "data" / "test"


def _is_done(root: Path) -> bool:
    """Whether a job's training came to its end: one that failed has an artifact, too."""
    model = root / "model" / "model.json"
    if not model.is_file():
        return False
    return "test" in json.loads(model.read_text(encoding="utf-8"))["accuracy"]


def _make(small: Path, large: Path, last: Path) -> None:
    """Draw the photos and train three times; finished parts are taken as they are."""
    _draw(small, PHOTOS)
    _train(small, SMALL)
    _copy_photos(small, large, LARGE_PHOTOS)
    _train(large, LARGE, small)
    _copy_photos(small, last)
    _train(last, LAST, large)


def _draw(root: Path, photos: dict[str, tuple[int, int]]) -> None:
    for channel, (count, seed) in photos.items():
        folder = root / "input" / "data" / channel
        if not folder.is_dir():
            drawn = draw_set(folder, count, seed)
            print(f"bench-serve: drew {drawn} photos for {channel}", flush=True)


def _copy_photos(source: Path, target: Path, most: int | None = None) -> None:
    """Copy a job's channels. most: photos of each class in the train channel."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        if most is None or Path(folder).parent.name != "train":
            return []
        return [name for name in names if int(Path(name).stem) >= most]

    channels = target / "input" / "data"
    channels.parent.mkdir(parents=True, exist_ok=True)
    given = source / "input" / "data"
    shutil.copytree(given, channels, dirs_exist_ok=True, ignore=left_out)


def _train(root: Path, hyperparameters: dict[str, object], start: Path | None = None) -> None:
    """Train in a job's tree unless it is done. RuntimeError when it fails.

    start: the job whose weights it starts from.
    """
    if _is_done(root):
        return
    shutil.rmtree(root / "model", ignore_errors=True)  # of a training that failed
    if start:
        channel = root / "input" / "data" / "start"
        channel.mkdir(parents=True, exist_ok=True)
        shutil.copy(start / "model" / "model.safetensors", channel)
    config = root / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    texts = {name: str(value) for name, value in hyperparameters.items()}
    (config / "hyperparameters.json").write_text(json.dumps(texts))
    whole = "" if hyperparameters is QUICK else "; on two cores 40 minutes in all, once"
    print(
        f"bench-serve: training at {texts['image_size']} pixels, {texts['epochs']} epochs{whole}",
        flush=True,
    )
    command = [sys.executable, "-m", "train", "--root", str(root)]
    variables = {"PYTHONUNBUFFERED": "1", "SLIPWAY_CACHE": str(root)}
    environment = os.environ | variables
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"the training in {root} ended with code {done.returncode}")
