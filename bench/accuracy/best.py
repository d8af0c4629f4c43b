"""Preset best on photos: its test accuracy."""

from bench.accuracy.parts import Bench, Figures
from bench.accuracy.trainings import each_seed, mean_accuracy

SETTINGS: dict[str, object] = {"preset": "best"}


def measure(bench: Bench) -> Figures:
    return {"yoga8_best": mean_accuracy(each_seed(bench, "best", SETTINGS))}
