"""python bench/quality.py --data FOLDER: how well a small folder of photos is learnt from scratch, by our recipe and by a plain loop.

For each seed the photos are split anew (0.7, 0.1, 0.2), and both learn a ResNet18 of random weights on the same photos at the same size:
ours with RECIPE, the loop with the settings of the projects that Slipway grew out of (SGD, no schedule, photos as they are, 30 epochs).
Test accuracies, their means, and all settings go to a section of bench/RESULTS.md. About a quarter of an hour a seed on two cores; started
again it goes on after the runs that are done.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

from sections import machine, replace_section  # noqa: E402
from training.jobs import make_job, run  # noqa: E402

TITLE = "## Learning a small folder from scratch (`python bench/quality.py`)"
SIZE = 128  # pixels
RECIPE = {
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
LOOP = (
    "--model",
    "resnet18",
    "--trainable",
    "all",
    "--size",
    SIZE,
    "--epochs",
    30,
    "--batch-size",
    20,
    "--lr",
    0.01,
    "--momentum",
    0.9,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-quality", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos, a folder a class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out",
        type=Path,
        default=BENCH.parent / "out" / "bench-quality",
        help="where splits and runs are kept",
    )
    options = parser.parse_args()
    options.out = options.out.absolute()
    ours, loops, photos = [], [], 0
    for seed in range(options.seeds):
        data = options.out / f"prepared-{seed}"
        if not data.is_dir():
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "prepare",
                    options.data,
                    data,
                    "--split",
                    "0.7,0.1,0.2",
                    "--seed",
                    str(seed),
                ],
                cwd=BENCH.parent,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        photos = sum(
            path.is_file()
            for channel in ("train", "validation", "test")
            for path in (data / channel).rglob("*")
        )
        ours.append(
            kept(
                options.out / f"ours-{seed}.json",
                RECIPE,
                lambda: train(options.out / f"job-{seed}", data, seed),
            )
        )
        loops.append(kept(options.out / f"loop-{seed}.json", LOOP, lambda: plain_loop(data, seed)))
        print(
            f"bench-quality: seed={seed} accuracy={ours[-1]:.4f} loop_accuracy={loops[-1]:.4f}",
            flush=True,
        )
    replace_section(BENCH / "RESULTS.md", TITLE, table(ours, loops, photos))
    print(
        f"bench-quality: seeds={options.seeds} accuracy={statistics.mean(ours):.4f} loop_accuracy={statistics.mean(loops):.4f}"
    )
    return 0


def train(job: Path, data: Path, seed: int) -> float:
    own = run(
        f"python -m train, seed {seed}",
        "-m",
        "train",
        "--root",
        make_job(job, data, RECIPE | {"seed": seed}),
    )
    line = next(line for line in own.output.splitlines() if line.startswith("test:"))
    return float(line.partition("test_accuracy=")[2].split()[0])


def plain_loop(data: Path, seed: int) -> float:
    loop = run(
        f"plain loop, seed {seed}",
        "bench/training/plain_loop.py",
        "--data",
        data,
        "--seed",
        seed,
        *LOOP,
    )
    return json.loads(loop.output.splitlines()[-1])["accuracies"][1]


def kept(path: Path, settings: object, measure: Callable[[], float]) -> float:
    """A test accuracy, measured unless an earlier run of these settings left it in the file."""
    settings = json.loads(json.dumps(settings))
    if path.is_file() and (found := json.loads(path.read_text()))["settings"] == settings:
        return found["accuracy"]
    accuracy = measure()
    path.write_text(json.dumps({"settings": settings, "accuracy": accuracy}))
    return accuracy


def table(ours: list[float], loops: list[float], photos: int) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in RECIPE.items())
    rows = [
        f"| {name} | {' | '.join(f'{value:.1%}' for value in values)} | {statistics.mean(values):.1%} |"
        for name, values in (("Slipway", ours), ("plain loop", loops))
    ]
    head = f"| test accuracy | {' | '.join(f'seed {seed}' for seed in range(len(ours)))} | mean |\n|{'---|' * (len(ours) + 2)}"
    return "\n".join(
        [
            f"{machine()}. {photos} photos, split anew for each seed; ResNet18, {SIZE} pixels, random first weights.",
            "",
            head,
            *rows,
            "",
            f"Slipway: {settings}.",
            "",
            f"Loop: {' '.join(map(str, LOOP))}.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
