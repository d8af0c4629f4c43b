"""python -m bench.quality --data FOLDER: how well a small folder of photos is learnt from scratch.

For each seed the photos are split anew (0.7, 0.1, 0.2). Our recipe and a plain loop both train a
ResNet18 of random weights on the same photos at the same size: ours with RECIPE, the loop with the
settings of the projects that Slipway grew out of (SGD, no schedule, photos as they are, 30 epochs).
Test accuracies, their means and all settings go to a section of bench/RESULTS.md. It takes 15
minutes for each seed on two cores; a second start goes on after the runs that are done.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.sections import OUT, REPOSITORY, machine, replace_section
from bench.training.jobs import PLAIN_LOOP, make_job, run

TITLE = "## Learning a small folder from scratch (`python -m bench.quality`)"
SIZE = 128  # pixels
RECIPE: dict[str, object] = {
    "model": "resnet18",
    "weights": "none",
    "trainable": "all",
    "image_size": SIZE,
    "epochs": 80,
    "batch_size": 32,
    "optimizer": "adamw",
    "lr": 0.002,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 4,
    "augmentation": "strong",
    "label_smoothing": 0.1,
    "quantize": "false",
}
LOOP: dict[str, object] = {
    "--model": "resnet18",
    "--trainable": "all",
    "--size": SIZE,
    "--epochs": 30,
    "--batch-size": 20,
    "--lr": 0.01,
    "--momentum": 0.9,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos, one folder per class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=OUT / "bench-quality", help="where splits and runs are kept"
    )
    options = parser.parse_args()
    out = options.out.absolute()
    ours = []
    loops = []
    photos = 0
    for seed in range(options.seeds):
        data = split(options.data, out, seed)
        photos = count_photos(data)
        ours.append(our_accuracy(out, data, seed))
        loops.append(loop_accuracy(out, data, seed))
        figures = f"accuracy={ours[-1]:.4f} loop_accuracy={loops[-1]:.4f}"
        print(f"bench-quality: seed={seed} {figures}", flush=True)
    section = table(ours, loops, photos)
    replace_section(TITLE, section)
    print(section)
    mean = statistics.mean(ours)
    loop_mean = statistics.mean(loops)
    means = f"accuracy={mean:.4f} loop_accuracy={loop_mean:.4f}"
    print(f"bench-quality: seeds={options.seeds} {means}")
    return 0


def split(photos: Path, out: Path, seed: int) -> Path:
    """The photos, prepared and split by a seed."""
    data = out / f"prepared-{seed}"
    if not data.is_dir():
        command = [sys.executable, "-m", "prepare", str(photos), str(data)]
        command += ["--split", "0.7,0.1,0.2", "--seed", str(seed)]
        quiet = subprocess.DEVNULL
        subprocess.run(command, cwd=REPOSITORY, check=True, stdout=quiet)
    return data


def count_photos(data: Path) -> int:
    count = 0
    for channel in ("train", "validation", "test"):
        files = (data / channel).rglob("*")
        count += sum(path.is_file() for path in files)
    return count


def our_accuracy(out: Path, data: Path, seed: int) -> float:
    def train() -> float:
        settings = RECIPE | {"seed": seed}
        job = make_job(out / f"job-{seed}", data, settings)
        ours = run(f"python -m train, seed {seed}", "-m", "train", "--root", job)
        # "test: photos=... test_loss=... test_accuracy=...", as train/result/measure.py prints it
        found = re.search(r"^test:.*test_accuracy=(\S+)", ours.output, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"no test_accuracy in the output of {job}")
        return float(found[1])

    return kept(out / f"ours-{seed}.json", RECIPE, train)


def loop_accuracy(out: Path, data: Path, seed: int) -> float:
    def train() -> float:
        options = [*_words(LOOP), "--data", data, "--seed", seed]
        loop = run(f"plain loop, seed {seed}", *PLAIN_LOOP, *options)
        found = json.loads(loop.last_line())
        _, test = found["accuracies"]  # of validation and test
        return float(test)

    return kept(out / f"loop-{seed}.json", _words(LOOP), train)


def _words(options: dict[str, object]) -> list[object]:
    words: list[object] = []
    for name, value in options.items():
        words += [name, value]
    return words


def kept(path: Path, settings: object, measure: Callable[[], float]) -> float:
    """A test accuracy, measured unless an earlier run of these settings left it in the file."""
    wanted = json.loads(json.dumps(settings))  # as JSON reads them back: tuples become lists
    if path.is_file():
        found = json.loads(path.read_text())
        if found["settings"] == wanted:
            return float(found["accuracy"])
    accuracy = measure()
    path.write_text(json.dumps({"settings": wanted, "accuracy": accuracy}))
    return accuracy


def table(ours: Sequence[float], loops: Sequence[float], photos: int) -> str:
    """The section, as Markdown."""
    settings = ", ".join(f"{name}={value}" for name, value in RECIPE.items())
    options = " ".join(map(str, _words(LOOP)))
    seeds = "".join(f" seed {seed} |" for seed in range(len(ours)))
    about = (
        f"{photos} photos, split anew for each seed; ResNet18, {SIZE} pixels, random first weights"
    )
    lines = [
        f"{machine()}. {about}.",
        "",
        f"| test accuracy |{seeds} mean |",
        "|" + "---|" * (len(ours) + 2),
        _row("Slipway", ours),
        _row("plain loop", loops),
        "",
        f"Slipway: {settings}.",
        "",
        f"Loop: {options}.",
    ]
    return "\n".join(lines)


def _row(name: str, values: Sequence[float]) -> str:
    cells = "".join(f" {value:.1%} |" for value in values)
    return f"| {name} |{cells} {statistics.mean(values):.1%} |"


if __name__ == "__main__":
    sys.exit(main())
