"""What a training's photos looked like to it, for `launch drift`: model.reference.npz.

It holds numbers of photos, no photo and no name. Old artifacts do not have it, nor those of a
user's own network.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.model import ArtifactError, Description, MissingFile, atomic_file
from artifact.photos.measures import MEASURES
from artifact.stored_arrays import read_arrays

REFERENCE_FILE = "model.reference.npz"
FILE_BYTES = 1_000_000
FRAME_BYTES = 4000  # of the file, beside its arrays
PHOTOS = 1000  # of each sort, at most
DIRECTIONS = 32  # of the features, at most

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reference:
    """Numbers of a training's photos. V is 0 without a validation channel.

    measures: of validation and training photos, float32 [N, 5], artifact/photos/measures.py.
    counts: photos of each class in both channels, int64 [classes]. labels, answers: the class of
    each validation photo, and the most probable one by the engine, int64 [V]. With several labels a
    photo, the answers stand for the labels, too. probabilities: of the answered class, float32 [V].
    center, directions: of the head's inputs, float32 [D] and float16 [D, K]; D is 0 where the graph
    does not show them. features: of the validation photos along the directions, float32 [V, K].
    """

    measures: Floats
    counts: NDArray[np.int64]
    labels: NDArray[np.int64]
    answers: NDArray[np.int64]
    probabilities: Floats
    center: Floats
    directions: NDArray[np.float16]
    features: Floats

    def along(self, rows: Floats) -> Floats:
        """A head's inputs, float32 [N, D], along the directions, float32 [N, K]."""
        return np.asarray((rows - self.center) @ self.directions.astype(np.float32))


def directions_that_fit(width: int, classes: int) -> int:
    """How many directions of so many features FILE_BYTES hold, at most DIRECTIONS."""
    fixed = FRAME_BYTES + PHOTOS * (4 * len(MEASURES) + 20) + 4 * width + 8 * classes
    return max(0, min(DIRECTIONS, (FILE_BYTES - fixed) // (2 * width + 4 * PHOTOS)))


def write_reference(directory: Path, reference: Reference) -> None:
    """Write the file. OSError when the folder cannot take it."""
    arrays = {entry.name: getattr(reference, entry.name) for entry in fields(reference)}
    with atomic_file(Path(directory) / REFERENCE_FILE) as file:
        # not compressed: a file can then claim no more than it holds
        np.savez(file, **arrays)


def read_reference(directory: Path, description: Description) -> Reference:
    """The reference of an artifact. MissingFile where it has none, ArtifactError for a bad one."""
    path = Path(directory) / REFERENCE_FILE
    if not path.is_file():
        raise MissingFile(Path(directory), REFERENCE_FILE)
    try:
        names = [entry.name for entry in fields(Reference)]
        reference = Reference(**read_arrays(path, names, FILE_BYTES))
        _check(reference, len(description.classes))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"'{path}' cannot be read as a reference ({error})") from error
    return reference


def _check(reference: Reference, classes: int) -> None:
    """ValueError unless the arrays fit each other and the number of classes."""
    count = reference.answers.size
    width = reference.center.size
    kept = reference.directions.shape[-1] if reference.directions.ndim else 0
    shown = count if width else 0
    _check_array("measures", reference.measures, np.float32, (-1, len(MEASURES)))
    _check_array("counts", reference.counts, np.int64, (classes,))
    _check_array("answers", reference.answers, np.int64, (-1,))
    _check_array("labels", reference.labels, np.int64, (count,))
    _check_array("probabilities", reference.probabilities, np.float32, (count,))
    _check_array("center", reference.center, np.float32, (-1,))
    _check_array("directions", reference.directions, np.float16, (width, kept))
    _check_array("features", reference.features, np.float32, (shown, kept))
    for numbers in (reference.answers, reference.labels):
        if count and not 0 <= int(numbers.min()) <= int(numbers.max()) < classes:
            raise ValueError(f"it has answers that are none of {classes} classes")
    if int(reference.counts.min()) < 0 or int(reference.counts.sum()) < 1:
        raise ValueError("it has counts of photos that are none")


def _check_array(
    name: str, array: NDArray[Any], kind: type[np.generic], shape: tuple[int, ...]
) -> None:
    """ValueError unless an array is of a kind and a shape, in which -1 stands for any length."""
    fits = array.ndim == len(shape) and array.dtype == kind
    if not fits or any(
        want not in (-1, have) for have, want in zip(array.shape, shape, strict=True)
    ):
        raise ValueError(f"it has {name} {array.dtype} {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"it has {name} that are not all numbers")
