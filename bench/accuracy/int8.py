"""How often int8 answers as f32 does: the part `int8`, which bench.int8_agreement measures."""

from bench.accuracy.parts import Bench, Figures


def measure(bench: Bench) -> Figures:
    return bench.parts.figures("int8") or {}
