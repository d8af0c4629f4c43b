"""Shared by the benches of training: their photos and weights, a job's tree, a timed process."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.sections import REPOSITORY
from bench.serving.photos import class_names, draw

CLASSES = class_names()[::13][:10]
PHOTOS = {"train": (20, 1), "validation": (5, 2)}  # channel: photos per class, seed
EPOCHS = 10
# the setting of the projects that Slipway grew out of
SEED_LIKE: dict[str, object] = {
    "model": "vgg16",
    "weights": "start",
    "trainable": "head",
    "epochs": EPOCHS,
    "batch_size": 20,
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 0,
    "augmentation": "none",
    "quantize": "false",
}
# a network from nothing
ALL_LAYERS: dict[str, object] = {
    "weights": "none",
    "trainable": "all",
    "epochs": 3,
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "augmentation": "crop",
    "split": "1,0,0",
    "quantize": "false",
}
PLAIN_LOOP = ("-m", "bench.training.plain_loop")


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    output: str
    seconds: float
    peak: int  # the most memory it held, bytes

    def last_line(self) -> str:
        return self.output.splitlines()[-1]


def prepare(out: Path, photos: Mapping[str, tuple[int, int]] = PHOTOS) -> tuple[Path, Path]:
    """The photos' folder and the weights' file, made where they are missing."""
    data = out / "photos"
    weights = out / "vgg16.pth"
    for channel, (count, seed) in photos.items():
        draw_photos(data / channel, CLASSES, count, seed)
    if not weights.is_file():
        import torch
        import torchvision

        torch.manual_seed(0)
        torch.save(torchvision.models.vgg16().state_dict(), weights)
    return data, weights


def draw_photos(folder: Path, classes: Iterable[str], count: int, seed: int) -> None:
    """Draw folder/<class>/<number>.jpg where they are missing."""
    for name in classes:
        _draw_class(folder / name, name, count, seed)


def _draw_class(folder: Path, name: str, count: int, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number:03d}.jpg"
        if not path.is_file():
            path.write_bytes(draw(name, number, seed))


def make_job(
    root: Path, data: Path, hyperparameters: Mapping[str, object], weights: Path | None = None
) -> Path:
    """A fresh job's tree on these photos, with the layout of /opt/ml."""
    shutil.rmtree(root, ignore_errors=True)
    config = root / "input" / "config"
    channels = root / "input" / "data"
    config.mkdir(parents=True)
    channels.mkdir()
    for channel in sorted(path for path in data.iterdir() if path.is_dir()):
        (channels / channel.name).symlink_to(channel)
    if weights:
        (channels / "start").mkdir()
        (channels / "start" / weights.name).symlink_to(weights)
    texts = {name: str(value) for name, value in hyperparameters.items()}
    (config / "hyperparameters.json").write_text(json.dumps(texts))
    return root


def epoch_figures(output: str, figure: str) -> list[float]:
    """A figure of each `epoch=…` line of a training."""
    values = []
    for line in output.splitlines():
        if line.startswith("epoch="):
            values.append(float(line.partition(f"{figure}=")[2].split()[0]))
    return values


def run(
    name: str, *arguments: object, cache: Path | None = None, limit_s: float = 24 * 3600.0
) -> Finished:
    """Run a Python process to its end. RuntimeError when it fails, or takes longer than limit_s."""
    print(f"bench: {name} …", flush=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if cache:
        environment["SLIPWAY_CACHE"] = str(cache)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None  # a pipe was asked for
    too_long = threading.Timer(limit_s, process.kill)
    too_long.start()
    try:
        output = process.stdout.read()
    except BaseException:  # told to stop: the process must not go on alone
        process.kill()
        process.wait()
        raise
    finally:
        too_long.cancel()
    # wait4, not wait: it gives the memory of this one child
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode and seconds > limit_s:
        raise RuntimeError(f"{name} took longer than {limit_s:g} s")
    if process.returncode:
        raise RuntimeError(f"{name} ended with code {process.returncode}: {output[-500:]}")
    print(f"bench: {name}: {seconds:.1f} s", flush=True)
    return Finished(output, seconds, usage.ru_maxrss * 1024)
