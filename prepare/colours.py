"""Whether two photos have the same colours in the same places.

A grey mark or another brightness hardly changes the colours, and a drawing may be as bright as its
background: then colours show what the brightness does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prepare.alignment import Floats, correlation, detail, look
from prepare.signature import Signatures

COLOURFUL = 4.0  # levels of 255; mean distance of a photo's colours from grey, or from their mean
LEAST_COLOUR = 0.5  # cosine between the colours of copies
RADIUS = 1  # pixels, of the mean that the detail is taken from
# Correlations of copies: of all colours, and of their detail. Of other photos, real and drawn ones,
# none has more than 0.92 and 0.79.
LEAST_ALIKE = (0.95, 0.82)


@dataclass(frozen=True)
class Colours:
    """The colours of n pairs, [n, 2, side, side] each, from -128 to 127."""

    one: Floats
    other: Floats

    @classmethod
    def of(cls, one: Signatures, other: Signatures, mirrored: NDArray[np.bool_]) -> "Colours":
        """Of pairs of signatures, the first of which is mirrored where `mirrored` says so."""
        colours = one["chroma"].astype(np.float32) - 128
        colours[mirrored] = colours[mirrored][..., ::-1]
        return cls(colours, other["chroma"].astype(np.float32) - 128)

    def take(self, rows: NDArray[np.int64]) -> "Colours":
        """Some of the pairs."""
        return Colours(self.one[rows], self.other[rows])

    def fit(self, windows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the windows of colourful photos have about the colours of the others."""
        seen, _ = self._seen(windows)
        ours = seen.reshape(len(self.one), -1)
        theirs = self.other.reshape(len(self.one), -1)
        lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
        likeness = (ours * theirs).sum(1) / np.maximum(lengths, 1)
        strong = np.minimum(np.abs(ours).mean(1), np.abs(theirs).mean(1)) >= COLOURFUL
        return np.asarray(~strong | (likeness >= LEAST_COLOUR))

    def are_equal(self, windows: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the windows of the first photos have the colours of the others, in detail."""
        seen, counted = self._seen(windows)
        ours = _centred(seen, counted)
        theirs = _centred(self.other, counted)
        every = correlation(_flat(ours), _flat(theirs), _flat(counted))
        fine = correlation(_flat(_detail(ours)), _flat(_detail(theirs)), _flat(counted))
        strong = np.minimum(_deviation(ours, counted), _deviation(theirs, counted)) >= COLOURFUL
        return np.asarray(strong & (every >= LEAST_ALIKE[0]) & (fine >= LEAST_ALIKE[1]))

    def _seen(self, windows: NDArray[np.float64]) -> tuple[Floats, Floats]:
        """The windows of the first photos, and 1 for each pixel that lies in the photo."""
        seen = []
        for channel in range(2):
            window, inside = look(self.one[:, channel], windows)
            seen.append(window)
        return np.stack(seen, 1), np.repeat(inside[:, None], 2, axis=1).astype(np.float32)


def _centred(colours: Floats, counted: Floats) -> Floats:
    """The colours without the mean of each channel, over the pixels that count."""
    counts = np.maximum(counted.sum((2, 3), keepdims=True), 1)
    return np.asarray(colours - (colours * counted).sum((2, 3), keepdims=True) / counts)


def _deviation(colours: Floats, counted: Floats) -> Floats:
    squares = (colours**2 * counted).sum((1, 2, 3))
    return np.asarray(np.sqrt(squares / np.maximum(counted.sum((1, 2, 3)), 1)))


def _detail(colours: Floats) -> Floats:
    pairs, channels, side, _ = colours.shape
    found = detail(colours.reshape(pairs * channels, side, side), RADIUS)
    return found.reshape(pairs, channels, side, side)


def _flat(values: Floats) -> Floats:
    return values.reshape(len(values), -1)
