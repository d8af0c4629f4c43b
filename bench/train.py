"""python bench/train.py: our training against a plain torchvision loop, on the same photos and weights, in one run on this machine.

The setting of the projects that Slipway grew out of: VGG16, only the last layer trains, 10 epochs, 200 photos of 500x375; then one
more trial of a search on the same photos; then ResNet18 with all layers. Draws its photos and VGG16's weights; takes half an hour on
two cores, nearly all of it the plain loop's. Writes its section of bench/RESULTS.md and bench/train.png.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

from serving.photos import class_names, draw  # noqa: E402
from training.results import Outcome, write_plot, write_section  # noqa: E402

CLASSES = class_names()[::13][:10]
PHOTOS = {"train": (20, 1), "validation": (5, 2)}  # channel: photos a class, seed
SEED_LIKE = {"model": "vgg16", "weights": "start", "trainable": "head", "epochs": 10, "batch_size": 20, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9,
             "weight_decay": 0, "augmentation": "none", "quantize": "false"}
ALL_LAYERS = {"model": "resnet18", "weights": "none", "trainable": "all", "epochs": 3, "batch_size": 20, "optimizer": "sgd", "lr": 0.01, "momentum": 0.9,
              "augmentation": "crop", "split": "1,0,0", "quantize": "false"}


@dataclass(frozen=True)
class Finished:
    """A process that ended well: what it printed, its seconds, and the most memory it held, in bytes."""

    output: str
    seconds: float
    peak: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-train", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=BENCH.parent / "out" / "bench-train", help="where photos and runs are kept")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args()
    try:
        outcome = bench(options.out.absolute(), options.seeds)
    except (RuntimeError, OSError) as error:
        print(f"bench-train: failed: {error}", file=sys.stderr)
        return 1
    write_section(BENCH / "RESULTS.md", outcome)
    write_plot(BENCH / "train.png", outcome)
    print(outcome.table(), flush=True)
    print(outcome.line(), flush=True)
    return 1 if options.strict and outcome.missed() else 0


def bench(out: Path, seeds: int) -> Outcome:
    """All parts, ours and the loop's by turns."""
    data, weights = prepare(out)
    loops, ours, loop_accuracy, accuracy, peaks = [], [], [], [], []
    for seed in range(seeds):
        loop = run("plain loop", "bench/training/plain_loop.py", "--data", data, "--weights", weights, "--seed", seed)
        loops.append(loop.seconds)
        loop_accuracy.append(json.loads(loop.output.splitlines()[-1])["accuracies"][0])
        job = make_job(out / "vgg16", data, SEED_LIKE | {"seed": seed}, weights)
        shutil.rmtree(out / "cache", ignore_errors=True)
        own = run("python -m train", "-m", "train", "--root", job, cache=out / "cache")
        ours.append(own.seconds)
        peaks.append(own.peak)
        accuracy.append(float([line for line in own.output.splitlines() if line.startswith("epoch=")][-1].partition("validation_accuracy=")[2].split()[0]))
    trial = json.loads(run("a second trial", "bench/training/trials.py", job, cache=out / "cache").output.splitlines()[-1])[-1]
    rates = all_layers(out, data)
    feeding = json.loads(run("input and step", "bench/training/feeding.py", data / "train", cache=out / "cache-feeding").output.splitlines()[-1])
    return Outcome(loops, ours, trial, rates, feeding, max(peaks), accuracy, loop_accuracy)


def all_layers(out: Path, data: Path) -> dict[str, float]:
    """Photos a second of a training of all of ResNet18, once the first epoch is over: the loop's and ours, by turns."""
    count = len(CLASSES) * PHOTOS["train"][0]
    (out / "only-train").mkdir(exist_ok=True)
    (out / "only-train" / "train").unlink(missing_ok=True)
    (out / "only-train" / "train").symlink_to(data / "train")
    rates: dict[str, list[float]] = {"loop": [], "ours": []}
    for _ in range(2):
        loop = run("plain loop, all layers", "bench/training/plain_loop.py", "--data", out / "only-train", "--model", "resnet18", "--trainable", "all", "--epochs", 3, "--crop")
        rates["loop"] += [count / json.loads(line)["train_s"] for line in loop.output.splitlines()[1:]]
        job = make_job(out / "resnet18", out / "only-train", ALL_LAYERS)
        own = run("python -m train, all layers", "-m", "train", "--root", job, cache=out / "cache-all")
        rates["ours"] += [count / float(line.partition("seconds=")[2]) for line in own.output.splitlines() if line.startswith("epoch=")][1:]
    return {name: statistics.median(values) for name, values in rates.items()}


def prepare(out: Path) -> tuple[Path, Path]:
    """The photos' folder and the weights' file, made where they are not there yet."""
    data, weights = out / "photos", out / "vgg16.pth"
    for channel, (count, seed) in PHOTOS.items():
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
    print(f"bench-train: {name} …", flush=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | ({"SLIPWAY_CACHE": str(cache)} if cache else {})
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=BENCH.parent, env=environment, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} ended with code {process.returncode}: {output[-500:]}")
    print(f"bench-train: {name}: {seconds:.1f} s", flush=True)
    return Finished(output, seconds, usage.ru_maxrss * 1024)


if __name__ == "__main__":
    sys.exit(main())
