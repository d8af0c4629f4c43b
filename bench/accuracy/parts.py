"""One run of the bench, and the folder of the parts that it keeps."""

from dataclasses import dataclass
from pathlib import Path

from bench.parts import Parts

Figures = dict[str, float]


@dataclass(frozen=True)
class Bench:
    """One run. data: photos, one folder per class; None where only drawn features are measured.

    strange: files of which the readable pictures are of no class.
    """

    data: Path | None
    out: Path
    seeds: int
    strange: Path | None = None

    @property
    def parts(self) -> Parts[Figures]:
        return Parts(self.out / "parts")
