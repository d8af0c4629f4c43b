"""What benches of training share: the photos and weights that they draw, a job's tree, and a process that is timed."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

from serving.photos import class_names, draw  # noqa: E402

CLASSES = class_names()[::13][:10]
PHOTOS = {"train": (20, 1), "validation": (5, 2)}  # channel: photos a class, seed
SEED_LIKE = {
    "model": "vgg16",
    "weights": "start",
    "trainable": "head",
    "epochs": 10,
    "batch_size": 20,
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 0,
    "augmentation": "none",
    "quantize": "false",
}


@dataclass(frozen=True)
class Finished:
    """A process that ended well: what it printed, its seconds, and the most memory it held, in bytes."""

    output: str
    seconds: float
    peak: int


def prepare(out: Path, photos: dict[str, tuple[int, int]] = PHOTOS) -> tuple[Path, Path]:
    """The photos' folder and the weights' file, made where they are not there yet."""
    data, weights = out / "photos", out / "vgg16.pth"
    for channel, (count, seed) in photos.items():
        for name in CLASSES:
            folder = data / channel / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                path = folder / f"{number:03d}.jpg"
                if not path.is_file():
                    path.write_bytes(draw(name, number, seed))
    if not weights.is_file():
        import torch
        import torchvision

        torch.manual_seed(0)
        torch.save(torchvision.models.vgg16().state_dict(), weights)
    return data, weights


def make_job(root: Path, data: Path, hyperparameters: dict, weights: Path | None = None) -> Path:
    """A fresh job's tree on these photos, laid out as under /opt/ml."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "data").mkdir()
    for channel in sorted(path for path in data.iterdir() if path.is_dir()):
        (root / "input" / "data" / channel.name).symlink_to(channel)
    if weights:
        (root / "input" / "data" / "start").mkdir()
        (root / "input" / "data" / "start" / weights.name).symlink_to(weights)
    texts = {name: str(value) for name, value in hyperparameters.items()}
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(texts))
    return root


def run(name: str, *arguments: object, cache: Path | None = None) -> Finished:
    """A Python process from its start to its end. RuntimeError when it fails."""
    print(f"bench: {name} …", flush=True)
    environment = (
        os.environ | {"PYTHONUNBUFFERED": "1"} | ({"SLIPWAY_CACHE": str(cache)} if cache else {})
    )
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=BENCH.parent,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} ended with code {process.returncode}: {output[-500:]}")
    print(f"bench: {name}: {seconds:.1f} s", flush=True)
    return Finished(output, seconds, usage.ru_maxrss * 1024)
