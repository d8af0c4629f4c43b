"""Planted wrong labels that are found: the part `labels`."""

from bench.accuracy.parts import Bench, Figures


def measure(bench: Bench) -> Figures:
    return bench.parts.figures("labels") or {}
