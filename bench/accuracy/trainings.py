"""A training of split photos by `python -m train`, for the columns that need one for each seed."""

import re
import statistics
from collections.abc import Mapping

from bench.accuracy.parts import Bench, Figures
from bench.quality import split
from bench.training.jobs import make_job, run


def each_seed(bench: Bench, name: str, settings: Mapping[str, object]) -> list[Figures]:
    """Test accuracy and seconds of each seed, which decides the split and the training."""
    found = []
    for seed in range(bench.seeds):
        every = {**settings, "seed": seed}
        part = f"{name}-{seed}"
        figures = bench.parts.figures(part, every)
        if figures is None:
            figures = _trained(bench, part, seed, every)
            bench.parts.keep(part, every, figures)
            print(f"bench-accuracy: {part}: accuracy={figures['accuracy']:.4f}", flush=True)
        found.append(figures)
    return found


def _trained(bench: Bench, part: str, seed: int, settings: Mapping[str, object]) -> Figures:
    if bench.data is None:
        raise RuntimeError("it needs photos; give --data FOLDER")
    job = make_job(bench.out / f"job-{part}", split(bench.data, bench.out, seed), settings)
    # a store of its own: no other training's features or photos make it faster
    ended = run(part, "-m", "train", "--root", job, cache=job / "cache")
    # "test: photos=... test_loss=... test_accuracy=...", as train/result/measure.py prints it
    found = re.search(r"^test:.*test_accuracy=(\S+)", ended.output, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"no test_accuracy in the output of {job}")
    return {"accuracy": float(found[1]), "seconds": ended.seconds}


def mean_accuracy(found: list[Figures]) -> float:
    return statistics.mean(figures["accuracy"] for figures in found)
