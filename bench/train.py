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
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

from training.jobs import SEED_LIKE, make_job, prepare, run  # noqa: E402
from training.results import Outcome, write_plot, write_section  # noqa: E402

RESNET50_OPERATIONS = 3 * 2 * 4.09e9  # of a photo of 224 x 224, forward and backward
ALL_LAYERS = {
    "model": "resnet18",
    "weights": "none",
    "trainable": "all",
    "epochs": 3,
    "batch_size": 20,
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "augmentation": "crop",
    "split": "1,0,0",
    "quantize": "false",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-train", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out",
        type=Path,
        default=BENCH.parent / "out" / "bench-train",
        help="where photos and runs are kept",
    )
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
        loop = run(
            "plain loop",
            "bench/training/plain_loop.py",
            "--data",
            data,
            "--weights",
            weights,
            "--seed",
            seed,
        )
        loops.append(loop.seconds)
        loop_accuracy.append(json.loads(loop.output.splitlines()[-1])["accuracies"][0])
        job = make_job(out / "vgg16", data, SEED_LIKE | {"seed": seed}, weights)
        shutil.rmtree(out / "cache", ignore_errors=True)
        own = run("python -m train", "-m", "train", "--root", job, cache=out / "cache")
        ours.append(own.seconds)
        peaks.append(own.peak)
        accuracy.append(
            float(
                [line for line in own.output.splitlines() if line.startswith("epoch=")][-1]
                .partition("validation_accuracy=")[2]
                .split()[0]
            )
        )
    trial = json.loads(
        run(
            "a second trial", "bench/training/trials.py", job, cache=out / "cache"
        ).output.splitlines()[-1]
    )[-1]
    rates = all_layers(out, data)
    feeding = json.loads(
        run(
            "input and step",
            "bench/training/feeding.py",
            data / "train",
            cache=out / "cache-feeding",
        ).output.splitlines()[-1]
    )
    card = on_gpu(out) if "cuda" in feeding["device"] else {}
    return Outcome(loops, ours, trial, rates, feeding, max(peaks), accuracy, loop_accuracy, card)


def all_layers(
    out: Path, data: Path, model: str = "resnet18", batch_size: int = 20, workers: int = 2
) -> dict[str, float]:
    """Photos a second of a training of all of a network, once the first epoch is over: the loop's and ours, by turns."""
    count = sum(1 for _ in (data / "train").rglob("*.jpg"))
    only = out / f"only-train-{model}"
    only.mkdir(exist_ok=True)
    (only / "train").unlink(missing_ok=True)
    (only / "train").symlink_to(data / "train")
    rates: dict[str, list[float]] = {"loop": [], "ours": []}
    for _ in range(2):
        loop = run(
            f"plain loop, all of {model}",
            "bench/training/plain_loop.py",
            "--data",
            only,
            "--model",
            model,
            "--trainable",
            "all",
            "--epochs",
            3,
            "--batch-size",
            batch_size,
            "--workers",
            workers,
            "--crop",
        )
        rates["loop"] += [
            count / json.loads(line)["train_s"] for line in loop.output.splitlines()[1:]
        ]
        job = make_job(out / model, only, ALL_LAYERS | {"model": model, "batch_size": batch_size})
        own = run(
            f"python -m train, all of {model}",
            "-m",
            "train",
            "--root",
            job,
            cache=out / "cache-all",
        )
        rates["ours"] += [
            count / float(line.partition("seconds=")[2])
            for line in own.output.splitlines()
            if line.startswith("epoch=")
        ][1:]
    return {name: statistics.median(values) for name, values in rates.items()}


def on_gpu(out: Path) -> dict[str, float]:
    """ResNet50 at 224, photos a second of the loop and ours on the GPU, and the share of its bfloat16 limit that ours reaches."""
    import torch

    data = prepare(out / "gpu", {"train": (400, 1), "validation": (5, 2)})[0]
    rates = all_layers(out, data, "resnet50", 128, len(os.sched_getaffinity(0)))
    left = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for _ in range(3):
        left @ left
    begin.record()
    for _ in range(20):
        left @ left
    end.record()
    torch.cuda.synchronize()
    limit = 20 * 2 * 8192**3 / (begin.elapsed_time(end) / 1000)  # operations a second
    return rates | {"share": rates["ours"] * RESNET50_OPERATIONS / limit}


if __name__ == "__main__":
    sys.exit(main())
