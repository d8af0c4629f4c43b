"""How often int8 answers as f32 does, in the seed where that is least, by bench.int8_agreement."""

from bench.accuracy.parts import Bench, Figures
from bench.int8_agreement import agreements

SEEDS = 3
VIEWS = 2000
SETTINGS: dict[str, object] = {"seeds": SEEDS, "photos": VIEWS}


def measure(bench: Bench) -> Figures:
    found = bench.parts.figures("int8", SETTINGS)
    if found is None:
        found = {"int8_agreement": _least(bench)}
        bench.parts.keep("int8", SETTINGS, found)
    return found


def _least(bench: Bench) -> float:
    if bench.data is None:
        raise RuntimeError("it needs photos; give --data FOLDER")
    out = bench.out / "int8"
    out.mkdir(parents=True, exist_ok=True)
    shares = [entry.share for entry in agreements(bench.data, out, SEEDS, VIEWS)]
    if len(shares) < SEEDS:
        raise RuntimeError("no int8 model was kept in at least one seed")
    return min(shares)
