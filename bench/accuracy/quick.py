"""Preset quick on photos: its test accuracy, and the seconds of its slowest training."""

from bench.accuracy.parts import Bench, Figures
from bench.accuracy.trainings import each_seed, mean_accuracy

SETTINGS: dict[str, object] = {"preset": "quick"}


def measure(bench: Bench) -> Figures:
    found = each_seed(bench, "quick", SETTINGS)
    return {
        "yoga8_quick": mean_accuracy(found),
        "seconds_quick": max(figures["seconds"] for figures in found),
    }
