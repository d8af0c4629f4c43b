"""python -m bench.train: our training against a plain torchvision loop, in one run.

Both have the same photos and weights, in the setting of the projects that Slipway grew out of:
VGG16, only the last layer trains, 10 epochs, 200 photos of 500x375; then one more trial of a search
on the same photos; then ResNet18 with all layers. It draws its photos and VGG16's weights. It takes
half an hour on two cores, nearly all of it the plain loop's, and writes its section of
bench/RESULTS.md and bench/train.png.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

from bench.sections import OUT, missed
from bench.training.jobs import (
    ALL_LAYERS,
    PLAIN_LOOP,
    SEED_LIKE,
    epoch_figures,
    make_job,
    prepare,
    run,
)
from bench.training.results import Results, write_plot, write_section


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-train", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=OUT / "bench-train", help="where photos and runs are kept"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args()
    try:
        results = bench(options.out.absolute(), options.seeds)
    except (RuntimeError, OSError) as error:
        print(f"bench-train: failed: {error}", file=sys.stderr)
        return 1
    write_section(results)
    write_plot(results)
    print(results.table(), flush=True)
    print(results.line(), flush=True)
    return int(options.strict and bool(missed(results.bars())))


def bench(out: Path, seeds: int) -> Results:
    """All parts, ours and the loop's by turns."""
    data, weights = prepare(out)
    results = Results()
    job = out / "vgg16"
    for seed in range(seeds):
        options = ("--data", data, "--weights", weights, "--seed", seed)
        loop = run("plain loop", *PLAIN_LOOP, *options)
        results.loop_s.append(loop.seconds)
        results.loop_accuracy.append(json.loads(loop.last_line())["accuracies"][0])
        make_job(job, data, SEED_LIKE | {"seed": seed}, weights)
        shutil.rmtree(out / "cache", ignore_errors=True)
        ours = run("python -m train", "-m", "train", "--root", job, cache=out / "cache")
        results.ours_s.append(ours.seconds)
        results.peaks.append(ours.peak)
        results.accuracy.append(epoch_figures(ours.output, "validation_accuracy")[-1])
    trials = run("a second trial", "-m", "bench.training.trials", job, cache=out / "cache")
    results.trial_s = json.loads(trials.last_line())[-1]
    results.rates = all_layers(out, data, "resnet18", 20, 2)
    feeding = run(
        "input and step",
        "-m",
        "bench.training.feeding",
        data / "train",
        cache=out / "cache-feeding",
    )
    results.feeding = json.loads(feeding.last_line())
    return results


def all_layers(
    out: Path, data: Path, model: str, batch_size: int, workers: int
) -> dict[str, float]:
    """Photos/s of a training of all layers after the first epoch, the loop's and ours."""
    photos = sum(1 for _ in (data / "train").rglob("*.jpg"))
    only = out / f"only-train-{model}"
    only.mkdir(exist_ok=True)
    (only / "train").unlink(missing_ok=True)
    (only / "train").symlink_to(data / "train")
    options = ["--data", only, "--model", model, "--trainable", "all", "--crop"]
    options += ["--epochs", 3, "--batch-size", batch_size, "--workers", workers]
    hyperparameters = ALL_LAYERS | {"model": model, "batch_size": batch_size}
    loops: list[float] = []
    ours: list[float] = []
    for _ in range(2):
        loop = run(f"plain loop, all of {model}", *PLAIN_LOOP, *options)
        for line in loop.output.splitlines()[1:]:
            loops.append(photos / json.loads(line)["train_s"])
        job = make_job(out / model, only, hyperparameters)
        name = f"python -m train, all of {model}"
        own = run(name, "-m", "train", "--root", job, cache=out / "cache-all")
        ours += [photos / seconds for seconds in epoch_figures(own.output, "seconds")[1:]]
    return {"loop": statistics.median(loops), "ours": statistics.median(ours)}


if __name__ == "__main__":
    sys.exit(main())
