"""The probe: photos in the artifact, with the answers that its float model gave at export.

A processor of another kind has other instructions for int8, bf16 and f16. A server there answers
the probe in such a precision before it uses it (artifact/engines/choice.py).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from artifact.host.machine import machine_kind
from artifact.model import PROBE_FILE, ArtifactError, Description, Json, atomic_file
from artifact.stored_arrays import read_arrays

PHOTOS = 32
FIRST = (
    8  # photos that decide by themselves where they are clear: all take ResNet50 0.7 s of a core
)
CLEAR = 0.5  # of the bound
FILE_BYTES = 5_000_000
FRAME_BYTES = 2000  # of the file, beside its arrays
# Least bound of a difference: docs/explanations/probe.md has what was measured.
LEAST_BOUND = 0.02
SLACK = 2  # times the difference that int8 has on the exporting machine

Pixels = NDArray[np.uint8]  # [N, S, S, 3]
Answers = NDArray[np.float32]  # [N, columns]


class Engine(Protocol):
    """What answers photos."""

    def run(self, pixels: Pixels) -> Answers: ...


def photos_that_fit(side: int, columns: int) -> int:
    """How many photos of side x side pixels FILE_BYTES hold; at most PHOTOS, 0 for huge ones."""
    photo_bytes = side * side * 3 + columns * 4
    return min(PHOTOS, (FILE_BYTES - FRAME_BYTES) // photo_bytes)


def probe_rows(photos: int, side: int, columns: int) -> list[int]:
    """Which of a list of photos, sorted by class, make the probe.

    The first ones, which decide alone, come from all over the list, too.
    """
    count = min(photos, photos_that_fit(side, columns))
    step = max(1, count // FIRST)
    order = sorted(range(count), key=lambda number: number % step)
    return [number * photos // count for number in order]


def probe_facts(pixels: Pixels | None) -> Json:
    """What model.json says of a probe that this machine makes; empty without photos."""
    if pixels is None or not len(pixels):
        return {}
    return {"photos": len(pixels), "machine": machine_kind(), "bound": LEAST_BOUND}


def write_probe(directory: Path, pixels: Pixels, answers: Answers) -> None:
    """Write the probe. answers: of the float model. OSError when the folder cannot take it."""
    with atomic_file(Path(directory) / PROBE_FILE) as file:
        # not compressed: a file can then claim no more than it holds
        np.savez(file, pixels=pixels, answers=answers)


def read_probe(directory: Path, description: Description) -> tuple[Pixels, Answers]:
    """The probe's photos and answers. Raises ArtifactError where it does not fit model.json."""
    path = Path(directory) / PROBE_FILE
    try:
        arrays = read_arrays(path, ("pixels", "answers"), FILE_BYTES)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"'{path}' is not a probe that can be read ({error})") from error
    pixels, answers = arrays["pixels"], arrays["answers"]
    count = description.probe["photos"]
    side = description.preprocessing.crop
    _check(path, "pixels", pixels, np.uint8, (count, side, side, 3))
    _check(path, "answers", answers, np.float32, (count, description.columns))
    return pixels, answers


def _check(
    path: Path, name: str, array: NDArray[Any], kind: type[np.generic], shape: tuple[int, ...]
) -> None:
    if array.dtype != kind or array.shape != shape:
        raise ArtifactError(
            f"'{path}' has {name} {array.dtype} {list(array.shape)}; "
            f"model.json says {np.dtype(kind)} {list(shape)}"
        )


def difference(answers: Answers, expected: Answers, description: Description) -> float:
    """How far two answers to the same photos are apart.

    The largest difference of a probability, as the mean over the photos: one photo between two
    classes may jump from one to the other. Where answers have a distance, the larger of that and of
    the distances' mean difference, as a share of the threshold. Infinite for what is no number.
    """
    if not np.isfinite(answers).all():
        return math.inf
    apart = np.abs(answers - expected)
    classes = len(description.classes)
    found = float(apart[:, :classes].max(axis=1).mean())
    if not description.known:
        return found
    threshold = abs(description.known["threshold"]) or 1.0
    return max(found, float(apart[:, -1].mean()) / threshold)


@dataclass(frozen=True)
class Comparison:
    """An engine's answers beside the probe's: `difference` of so many photos."""

    difference: float
    photos: int


def compare(engine: Engine, directory: Path, description: Description) -> Comparison:
    """Run the first photos of the probe, and all where these are not clear. ArtifactError."""
    pixels, expected = read_probe(directory, description)
    answers = engine.run(pixels[:FIRST])
    found = difference(answers, expected[:FIRST], description)
    if len(pixels) <= FIRST or found <= CLEAR * description.probe["bound"]:
        return Comparison(found, len(answers))
    answers = np.concatenate([answers, engine.run(pixels[FIRST:])])
    return Comparison(difference(answers, expected, description), len(answers))


def whole_difference(engine: Engine, directory: Path, description: Description) -> float:
    """`difference` of an engine's answers to all of the probe. ArtifactError."""
    pixels, expected = read_probe(directory, description)
    return difference(engine.run(pixels), expected, description)


def with_bound(description: Description, int8_difference: float) -> Json:
    """model.json's `probe` once int8 was measured on the machine that exports."""
    bound = max(LEAST_BOUND, SLACK * int8_difference)
    return description.probe | {"bound": round(bound, 4), "int8_difference": int8_difference}


def is_taken_unprobed(description: Description, precision: str) -> bool:
    """Whether a precision is proven here already: the training measured it on such a machine.

    An artifact without a probe is older, or was made so: amd64 machines take its precisions, as all
    such machines that we know compute them alike.
    """
    here = machine_kind()
    if precision == "f32" or description.probe.get("machine") == here:
        return True
    return not description.probe and here.startswith("amd64")
