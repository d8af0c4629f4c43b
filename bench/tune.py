"""python bench/tune.py: a search of 28 trainings by `python -m tune` against 28 runs of a plain torchvision loop, on the same photos and weights.

The setting of the projects that Slipway grew out of, as in bench/train.py: VGG16, only the last layer trains, 10 epochs, 200 photos.
The loop's time is reckoned from a few of its epochs: its runs differ in learning rate and batch size alone. Takes about ten minutes
on two cores; writes its section of bench/RESULTS.md.
"""

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

from sections import machine, replace_section  # noqa: E402
from training.jobs import SEED_LIKE, prepare, run  # noqa: E402

TITLE = "## Tuning"
TRIALS = 28
BAR = 50.0
RANGES = {
    "lr": {"type": "Continuous", "min": 0.001, "max": 0.1, "scale": "Logarithmic"},
    "batch_size": {"values": [16, 20, 30, 40]},
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-tune", description=__doc__)
    parser.add_argument(
        "--loop-epochs",
        type=int,
        default=2,
        help="epochs of the plain loop that are run (default: %(default)s)",
    )
    parser.add_argument("--workers", type=int, default=1, help="of python -m tune")
    parser.add_argument(
        "--out",
        type=Path,
        default=BENCH.parent / "out" / "bench-tune",
        help="where photos and runs are kept",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when the bar is missed")
    options = parser.parse_args()
    try:
        found = bench(options.out.absolute(), options.loop_epochs, options.workers)
    except (RuntimeError, OSError) as error:
        print(f"bench-tune: failed: {error}", file=sys.stderr)
        return 1
    print(report(found), flush=True)
    return 1 if options.strict and found["vs_loop"] < BAR else 0


def bench(out: Path, loop_epochs: int, workers: int) -> dict:
    """Both sides, the search from a cold cache; seconds and accuracies by name."""
    data, weights = prepare(out)
    loop = run(
        "plain loop",
        "bench/training/plain_loop.py",
        "--data",
        data,
        "--weights",
        weights,
        "--epochs",
        loop_epochs,
    )
    epochs = [json.loads(line)["seconds"] for line in loop.output.splitlines()]
    epoch_s, start_s = statistics.mean(epochs[1:] or epochs), loop.seconds - sum(epochs)
    loop_s = start_s + epochs[0] + (SEED_LIKE["epochs"] - 1) * epoch_s
    channels, search = out / "channels", out / "search"
    for folder in (channels, search, out / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    (channels / "start").mkdir(parents=True)
    (channels / "start" / weights.name).symlink_to(weights)
    for channel in ("train", "validation"):
        (channels / channel).symlink_to(data / channel)
    recipe = out / "recipe.yaml"  # JSON is YAML, too
    recipe.write_text(json.dumps(recipe_document(workers)))
    ours = run(
        "python -m tune",
        "-m",
        "tune",
        recipe,
        "--data",
        channels,
        "--out",
        search,
        "--workers",
        workers,
        cache=out / "cache",
    )
    trials = json.loads((search / "tuning.json").read_text())["tuning_jobs"][0]["trials"]
    done = [
        trial["objective"]
        for trial in trials
        if trial["status"] == "Completed" and len(trial["curve"]) == SEED_LIKE["epochs"]
    ]
    if len(done) != TRIALS:
        raise RuntimeError(f"{len(done)} of {TRIALS} trials were completed")
    return {
        "ours_s": ours.seconds,
        "loop_s": loop_s,
        "loop_all_s": TRIALS * loop_s,
        "loop_epochs": loop_epochs,
        "workers": workers,
        "vs_loop": TRIALS * loop_s / ours.seconds,
        "best": max(done),
    }


def recipe_document(workers: int) -> dict:
    """One tuning job; early stopping off, so that every trial has all its epochs, as the loop's runs have."""
    static = {name: value for name, value in SEED_LIKE.items() if name not in RANGES}
    return {
        "name": "bench",
        "hyperparameters": static,
        "tuning": [
            {
                "name": "bench",
                "strategy": "Bayesian",
                "budgets": {"jobs": TRIALS, "parallel": workers},
                "ranges": RANGES,
            }
        ],
    }


def report(found: dict) -> str:
    """Write the section; the last line of the bench."""
    line = (
        f"bench-tune: trials={TRIALS} vs_loop={found['vs_loop']:.1f} seconds={found['ours_s']:.1f} loop_seconds={found['loop_all_s']:.0f} "
        f"best_accuracy={found['best']:.3f}"
    )
    vs_loop, each = found["vs_loop"], found["ours_s"] / TRIALS
    rows = [
        f"| {TRIALS} trainings of VGG16's last layer, 10 epochs | plain loop | ours |",
        "|---|---:|---:|",
        f"| seconds in all | {found['loop_all_s']:.0f} (reckoned) | {found['ours_s']:.1f} |",
        f"| seconds a training | {found['loop_s']:.1f} (reckoned) | {each:.2f} |",
        "",
        "| bar | measured | wanted | met |",
        "|---|---:|---:|---|",
        f"| vs_loop | {vs_loop:.3g} | at least {BAR:g} | {'yes' if vs_loop >= BAR else 'no'} |",
    ]
    about = (
        f"`make bench-tune`, {machine()}; 200 photos of 500x375 in 10 classes, 50 held out. Ours: the whole of `python -m tune` from an "
        f"empty cache, Bayesian, {found['workers']} worker{'s' * (found['workers'] > 1)}, early stopping off. The plain loop's time is "
        f"reckoned: {found['loop_epochs']} of its epochs were run, a run of 10 is its start and 10 such epochs, and the search {TRIALS} of "
        "them one after the other."
    )
    table = "\n".join(rows)
    replace_section(BENCH / "RESULTS.md", TITLE, f"{about}\n\n{table}\n\n`{line}`")
    return f"{table}\n{line}"


if __name__ == "__main__":
    sys.exit(main())
