"""Which parts of a photo its answer comes from, by occlusion.

A square of the photo's mean colour covers one part after the other, and the model is asked for each
of these pictures: a bounded number, in the batches of all requests. Source: Zeiler and Fergus,
"Visualizing and Understanding Convolutional Networks", 2014, section 4.2. It needs no gradients,
so it says the same of any network and engine, int8 too. It is coarse: a part may matter in ways
that covering it does not show, such as where two parts carry the same.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from artifact.model import Description
from artifact.saliency import Saliency
from serve.batching import Pixels
from serve.request_state import RequestState

STEPS = 7  # places of the square, across and down: 49 pictures, and the whole one
COVERED = 0.25  # of the picture's side
CELLS = 14  # of the heat, across and down
PICTURES = 1 + STEPS**2  # that the model is asked for


class Varied(Protocol):
    """A model that is asked for variants of one photo: serve/predictor.py says what they are."""

    @property
    def description(self) -> Description: ...

    def probabilities_of(
        self,
        photo: bytes,
        vary: Callable[[Pixels], Sequence[Pixels]],
        count: int,
        state: RequestState | None = None,
    ) -> NDArray[np.float32]: ...


def occluded(predictor: Varied, photo: bytes, state: RequestState | None = None) -> Saliency:
    """The heat over an encoded photo, for its most probable class. Raises as predict does."""
    sizing = predictor.description.preprocessing
    squares = places(sizing.crop)
    found = predictor.probabilities_of(
        photo, lambda pixels: covered(pixels, squares), PICTURES, state
    )
    label = int(found[0].argmax())
    falls = np.maximum(found[0, label] - found[1:, label], 0.0)
    return {
        "label": predictor.description.classes[label],
        "probability": float(found[0, label]),
        "heat": heat(falls, squares, sizing.crop).tolist(),
        "view": sizing.crop / sizing.resize,
        "fall": float(falls.max()),
        "asked": len(found),
    }


def places(crop: int) -> list[tuple[slice, slice]]:
    """Rows and columns of each square, over a picture of crop x crop pixels."""
    side = max(1, round(COVERED * crop))
    starts = np.linspace(0, crop - side, STEPS).round().astype(int).tolist()
    return [(slice(top, top + side), slice(left, left + side)) for top in starts for left in starts]


def covered(pixels: Pixels, squares: list[tuple[slice, slice]]) -> list[Pixels]:
    """The picture itself, and one copy for each square: uint8 [crop, crop, 3]."""
    mean = pixels.mean(axis=(0, 1)).astype(np.uint8)
    pictures = [pixels]
    for rows, columns in squares:
        picture = pixels.copy()
        picture[rows, columns] = mean
        pictures.append(picture)
    return pictures


def heat(
    falls: NDArray[np.float32], squares: list[tuple[slice, slice]], crop: int
) -> NDArray[np.float64]:
    """The mean fall of the squares over each cell, as a share of the highest: [CELLS, CELLS]."""
    middles = ((np.arange(CELLS) + 0.5) * crop / CELLS).astype(int)
    total = np.zeros((CELLS, CELLS))
    count = np.zeros((CELLS, CELLS))
    for fall, (rows, columns) in zip(falls, squares, strict=True):
        down = (middles >= rows.start) & (middles < rows.stop)
        across = (middles >= columns.start) & (middles < columns.stop)
        total += fall * np.outer(down, across)
        count += np.outer(down, across)
    mean = total / np.maximum(count, 1)
    return np.round(mean / max(float(mean.max()), 1e-9), 3)
