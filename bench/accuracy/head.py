"""The solved head against a search over steps, on drawn features: seconds, and accuracy."""

import statistics

import torch

from artifact.host.machine import cpu_count
from bench.accuracy.parts import Bench, Figures
from bench.linear_head import DISTANCE, SEEDS, TRIALS, drawn, searched, solved

SETTINGS: dict[str, object] = {"distance": DISTANCE, "trials": TRIALS}


def measure(bench: Bench) -> Figures:
    """The median of seconds, and the share of seeds in which the solved head is as accurate."""
    torch.set_num_threads(cpu_count())
    found = []
    for seed in range(SEEDS):
        part = f"head-{seed}"
        figures = bench.parts.figures(part, SETTINGS)
        if figures is None:
            figures = _both(seed)
            bench.parts.keep(part, SETTINGS, figures)
            print(f"bench-accuracy: {part}: done", flush=True)
        found.append(figures)
    as_good = [figures["solved"] >= figures["searched"] for figures in found]
    return {
        "head_seconds": statistics.median(figures["seconds"] for figures in found),
        "head_vs_sgd": statistics.mean(as_good),
    }


def _both(seed: int) -> Figures:
    parts = drawn(seed, DISTANCE)
    ours = solved(parts)
    theirs = searched(parts, TRIALS, seed)
    return {"solved": ours.accuracy, "seconds": ours.seconds, "searched": theirs.accuracy}
