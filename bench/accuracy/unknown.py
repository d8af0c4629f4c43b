"""Photos of no class that are told from the classes' own: the part `unknown`."""

from bench.accuracy.parts import Bench, Figures


def measure(bench: Bench) -> Figures:
    return bench.parts.figures("unknown") or {}
