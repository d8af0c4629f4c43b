"""How often int8 answers as f32 does: the least of bench.int8_agreement's seeds, without labels."""

from bench.accuracy.parts import Bench, Figures
from bench.int8_agreement import HEAD, PHOTOS, SEEDS, agreements


def measure(bench: Bench) -> Figures:
    data = bench.data
    if data is None:
        raise RuntimeError("it needs photos; give --data FOLDER")
    seeds = min(SEEDS, bench.seeds)

    def figures() -> Figures:
        found = agreements(data, bench.out / "int8", seeds, PHOTOS)
        if len(found) < seeds:
            raise RuntimeError(f"{len(found)} of {seeds} trainings kept an int8 model")
        return {"int8_agreement": min(agreement.share for agreement in found)}

    settings: dict[str, object] = {**HEAD, "photos": PHOTOS, "seeds": seeds}
    return bench.parts.measured("int8", settings, figures)
