"""python -m bench.tune: a search of 28 trainings against 28 runs of a plain torchvision loop.

Both have the same photos and weights, in the setting of bench/train.py: VGG16, only the last layer
trains, 10 epochs, 200 photos. The loop's time is estimated from a few of its epochs, as its runs
differ in learning rate and batch size alone. It takes about ten minutes on two cores, and writes
its section of bench/RESULTS.md.
"""

import argparse
import json
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.sections import OUT, Bar, bar_rows, machine, replace_section
from bench.training.jobs import EPOCHS, PLAIN_LOOP, SEED_LIKE, prepare, run

TITLE = "## Tuning"
TRIALS = 28
LEAST = 50.0  # times as fast as the loop
RANGES: dict[str, object] = {
    "lr": {"type": "Continuous", "min": 0.001, "max": 0.1, "scale": "Logarithmic"},
    "batch_size": {"values": [16, 20, 30, 40]},
}


@dataclass(frozen=True)
class Results:
    """Seconds of both sides, and our best accuracy."""

    ours_s: float  # of the whole search
    loop_s: float  # of one run, estimated
    loop_epochs: int  # that were run
    workers: int
    best: float

    @property
    def loop_all_s(self) -> float:
        return TRIALS * self.loop_s

    @property
    def bar(self) -> Bar:
        return Bar(self.loop_all_s / self.ours_s, LEAST)


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
        "--out", type=Path, default=OUT / "bench-tune", help="where photos and runs are kept"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when the bar is missed")
    options = parser.parse_args()
    try:
        results = bench(options.out.absolute(), options.loop_epochs, options.workers)
    except (RuntimeError, OSError) as error:
        print(f"bench-tune: failed: {error}", file=sys.stderr)
        return 1
    print(report(results), flush=True)
    return int(options.strict and not results.bar.met)


def bench(out: Path, loop_epochs: int, workers: int) -> Results:
    """Both sides, the search from a cold cache."""
    data, weights = prepare(out)
    options = ("--data", data, "--weights", weights, "--epochs", loop_epochs)
    loop = run("plain loop", *PLAIN_LOOP, *options)
    epochs = [json.loads(line)["seconds"] for line in loop.output.splitlines()]
    start_s = loop.seconds - sum(epochs)
    epoch_s = statistics.mean(epochs[1:] or epochs)
    loop_s = start_s + epochs[0] + (EPOCHS - 1) * epoch_s
    channels = out / "channels"
    search = out / "search"
    for folder in (channels, search, out / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    (channels / "start").mkdir(parents=True)
    (channels / "start" / weights.name).symlink_to(weights)
    for channel in ("train", "validation"):
        (channels / channel).symlink_to(data / channel)
    recipe = out / "recipe.yaml"
    recipe.write_text(json.dumps(recipe_document(workers)))  # JSON is YAML, too
    command = ("-m", "tune", recipe, "--data", channels, "--out", search, "--workers", workers)
    ours = run("python -m tune", *command, cache=out / "cache")
    return Results(ours.seconds, loop_s, loop_epochs, workers, max(objectives(search)))


def objectives(search: Path) -> list[float]:
    """The objective of each trial. RuntimeError when one did not train all its epochs."""
    tuning = json.loads((search / "tuning.json").read_text())
    done = []
    for trial in tuning["tuning_jobs"][0]["trials"]:
        if trial["status"] == "Completed" and len(trial["curve"]) == EPOCHS:
            done.append(float(trial["objective"]))
    if len(done) != TRIALS:
        raise RuntimeError(f"{len(done)} of {TRIALS} trials were completed")
    return done


def recipe_document(workers: int) -> dict[str, object]:
    """One tuning job; early stopping off, so that every trial has as many epochs as the loop."""
    static = {name: value for name, value in SEED_LIKE.items() if name not in RANGES}
    job = {
        "name": "bench",
        "strategy": "Bayesian",
        "budgets": {"jobs": TRIALS, "parallel": workers},
        "ranges": RANGES,
    }
    return {"name": "bench", "hyperparameters": static, "tuning": [job]}


def report(results: Results) -> str:
    """Write the section; the table and the last line of the bench."""
    line = (
        f"bench-tune: trials={TRIALS} vs_loop={results.bar.value:.1f} "
        f"seconds={results.ours_s:.1f} loop_seconds={results.loop_all_s:.0f} "
        f"best_accuracy={results.best:.3f}"
    )
    whole = f"{results.loop_all_s:.0f} (estimated) | {results.ours_s:.1f}"
    single = f"{results.loop_s:.1f} (estimated) | {results.ours_s / TRIALS:.2f}"
    rows = [
        f"| {TRIALS} trainings of VGG16's last layer, 10 epochs | plain loop | ours |",
        "|---|---:|---:|",
        f"| seconds in all | {whole} |",
        f"| seconds per training | {single} |",
        "",
        *bar_rows({"vs_loop": results.bar}),
    ]
    workers = "1 worker" if results.workers == 1 else f"{results.workers} workers"
    about = (
        f"`make bench-tune`, {machine()}; 200 photos of 500x375 in 10 classes, 50 held out. Ours: "
        f"the whole of `python -m tune` from an empty cache, Bayesian, {workers}, early stopping "
        f"off. The plain loop's time is estimated: {results.loop_epochs} of its epochs were run, a "
        f"run of 10 is its start and 10 such epochs, and the search {TRIALS} of them one after the "
        "other."
    )
    table = "\n".join(rows)
    replace_section(TITLE, f"{about}\n\n{table}\n\n`{line}`")
    return f"{table}\n{line}"


if __name__ == "__main__":
    sys.exit(main())
