"""A trained ResNet50 of 133 classes to serve, made by this project's own trainer where no weights can be fetched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from serving.photos import draw_set

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PHOTOS = {"train": (40, 1), "validation": (3, 2), "test": (2, 3)}  # channel: photos a class, seed
LARGE_PHOTOS = 12  # a class, of those
# small photos first, where an epoch is quick; then a little at the size that is served; then the last stage on all photos, the rest frozen
SMALL = {
    "model": "resnet50",
    "weights": "none",
    "trainable": "all",
    "image_size": 64,
    "resize": 64,
    "epochs": 5,
    "batch_size": 32,
    "lr": 0.001,
    "optimizer": "adamw",
    "schedule": "cosine",
    "warmup_epochs": 1,
    "augmentation": "none",
    "precision": "bfloat16",
    "quantize": "false",
}
LARGE = {
    "model": "resnet50",
    "weights": "start",
    "trainable": "all",
    "image_size": 224,
    "resize": 256,
    "epochs": 7,
    "batch_size": 16,
    "lr": 0.0004,
    "optimizer": "adamw",
    "schedule": "cosine",
    "augmentation": "none",
    "precision": "bfloat16",
    "quantize": "false",
}
SURE = {
    "model": "resnet50",
    "weights": "start",
    "trainable": "layer4",
    "image_size": 224,
    "resize": 256,
    "epochs": 6,
    "batch_size": 32,
    "lr": 0.0005,
    "optimizer": "adamw",
    "schedule": "cosine",
    "augmentation": "none",
    "precision": "bfloat16",
}


def trained_model(out: Path, fresh: bool) -> tuple[Path, Path]:
    """The model's folder and that of the photos it never saw; both are kept in `out` for the next run. RuntimeError when training fails."""
    small, large, sure = (out / name for name in ("small", "large", "sure"))
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    if not (sure / "model" / "model.json").is_file():
        for channel, (count, seed) in PHOTOS.items():
            if not (small / "input" / "data" / channel).is_dir():
                print(
                    f"bench-serve: drawing {draw_set(small / 'input' / 'data' / channel, count, seed)} photos for {channel}",
                    flush=True,
                )
        _train(small, SMALL)
        shutil.copytree(
            small / "input" / "data",
            large / "input" / "data",
            dirs_exist_ok=True,
            ignore=lambda folder, names: [
                name
                for name in names
                if Path(folder).parent.name == "train" and int(Path(name).stem) >= LARGE_PHOTOS
            ],
        )
        _train(large, LARGE, small)
        (sure / "input").mkdir(parents=True, exist_ok=True)
        shutil.copytree(small / "input" / "data", sure / "input" / "data", dirs_exist_ok=True)
        _train(sure, SURE, large)
    accuracy = json.loads((sure / "model" / "model.json").read_text(encoding="utf-8"))["accuracy"]
    print(
        f"bench-serve: ResNet50, 133 classes, accuracy on photos it never saw {accuracy['test']:.3f}",
        flush=True,
    )
    return sure / "model", sure / "input" / "data" / "test"


def _train(root: Path, hyperparameters: dict, start: Path | None = None) -> None:
    """Train in a job's tree unless it is done; start: the job whose weights it starts from. RuntimeError when it fails."""
    if (root / "model" / "model.json").is_file():
        return
    if start:
        (root / "input" / "data" / "start").mkdir(parents=True, exist_ok=True)
        shutil.copy(start / "model" / "model.safetensors", root / "input" / "data" / "start")
    (root / "input" / "config").mkdir(parents=True, exist_ok=True)
    (root / "input" / "config" / "hyperparameters.json").write_text(
        json.dumps({name: str(value) for name, value in hyperparameters.items()})
    )
    print(
        f"bench-serve: training at {hyperparameters['image_size']} pixels, {hyperparameters['epochs']} epochs; on two cores 40 minutes in all, once",
        flush=True,
    )
    done = subprocess.run(
        [sys.executable, "-m", "train", "--root", str(root)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "SLIPWAY_CACHE": str(root)},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the training in {root} ended with code {done.returncode}")
