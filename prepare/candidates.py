"""Which photos may be near copies: a search for the nearest vectors, never all pairs.

A photo's vector is the low frequencies of its brightness (a discrete cosine transform), scaled to
length 1, as a perceptual hash has them before it rounds them to bits. Each photo asks the index for
its nearest neighbours as it is, and as a copy of it would look: mirrored, cut, brightened. A second
index has the colours: a grey mark hardly changes them, and a drawing may be as bright as its
background. An index is faiss's graph (HNSW): n photos take about n log n steps. Source: Malkov and
Yashunin, "Efficient and robust approximate nearest neighbor search using HNSW graphs", 2016.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import faiss
import numpy as np
from numpy.typing import NDArray

from prepare.signature import CHROMA_SIDE, SIDE, Signatures

FREQUENCIES = 8  # across and down
COLOUR_FREQUENCIES = 6
CUT = 0.9  # of a side, what a cut leaves
CORNERS = (0.0, 0.5, 1.0)  # where the rest lies, from the left or top edge to the other
GAINS = (1.35, 1.7)  # of a brightened copy, whose white is cut off
NEIGHBOURS = 8  # of each query
LEAST_LIKENESS = 0.65  # cosine of the angle between two vectors
LEAST_COLOUR_LIKENESS = 0.85
FLAT = 0.7  # levels of 255; a photo whose brightness deviates less has nothing to compare
COLOUR_FLAT = 2.0
EXHAUSTIVE = 4096  # photos up to which all are compared: the graph would not be faster
LINKS = 16  # of each photo in the graph
BUILD_WIDTH = 80  # how widely the graph is searched while it is made, and when it is asked
SEARCH_WIDTH = 48
BATCH = 1024  # photos that ask at once

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """How a copy may show a photo: a window of it, its mirror image or not, its brightness.

    left, top, size: of the window, in shares of a side. by_colour: its colours are compared.
    """

    left: float = 0.0
    top: float = 0.0
    size: float = 1.0
    mirrored: bool = False
    gain: float = 1.0
    by_colour: bool = False


@dataclass(frozen=True)
class Candidates:
    """Pairs to look at: photos' numbers, and by which of VIEWS of `one` they came together."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    view: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Candidates":
        """Some of them."""
        return Candidates(self.one[rows], self.other[rows], self.view[rows])


def _views() -> list[View]:
    plain = [View()]
    corners = product(CORNERS, repeat=2)
    plain += [View((1 - CUT) * left, (1 - CUT) * top, CUT) for left, top in corners]
    plain += [View(gain=gain) for gain in GAINS]
    mirrored = [
        View(1 - view.left - view.size, view.top, view.size, True, view.gain) for view in plain
    ]
    return [*plain, *mirrored, View(by_colour=True), View(mirrored=True, by_colour=True)]


VIEWS = _views()  # a mirrored view's window lies in the mirrored photo


def candidates(signatures: Signatures) -> Iterator[Candidates]:
    """Pairs of photos that may be near copies, in batches of `one`."""
    indices = {by_colour: _searched(signatures, by_colour) for by_colour in (False, True)}
    for start in range(0, len(signatures), BATCH):
        yield _neighbours(
            indices, np.arange(start, min(start + BATCH, len(signatures))), signatures
        )


@dataclass(frozen=True)
class _Searched:
    """An index, and the numbers of the photos in it: all but the flat ones."""

    index: faiss.Index
    rows: NDArray[np.int64]


def _searched(signatures: Signatures, by_colour: bool) -> _Searched:
    vectors = _all_vectors(signatures, View(by_colour=by_colour))
    rows = np.flatnonzero(np.any(vectors, axis=1))
    return _Searched(_index(vectors[rows]), rows)


def _index(vectors: Floats) -> faiss.Index:
    """The index of vectors of length 1, by their inner product."""
    size = vectors.shape[1]
    index: faiss.Index = faiss.IndexFlatIP(size)
    if len(vectors) > EXHAUSTIVE:
        graph = faiss.IndexHNSWFlat(size, LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = BUILD_WIDTH
        graph.hnsw.efSearch = SEARCH_WIDTH
        index = graph
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # several threads would make another graph each time
    index.add(vectors)
    faiss.omp_set_num_threads(threads)
    return index


def _neighbours(
    indices: dict[bool, _Searched], asking: NDArray[np.int64], signatures: Signatures
) -> Candidates:
    """What each view of the asking photos finds; a pair counts once, by its nearest view."""
    likeness = []
    pairs = []
    for number, view in enumerate(VIEWS):
        rows = indices[view.by_colour].rows
        if len(rows) < 2:
            continue
        vectors = _vectors(signatures[asking], view)
        near, found = indices[view.by_colour].index.search(vectors, min(NEIGHBOURS + 1, len(rows)))
        one = np.repeat(asking, found.shape[1])
        other = rows[found.ravel()]  # -1, for none, is the last row: its likeness is low
        views = np.full(len(one), number)
        least = LEAST_COLOUR_LIKENESS if view.by_colour else LEAST_LIKENESS
        good = (near.ravel() >= least) & (found.ravel() >= 0) & (one != other)
        likeness.append(near.ravel()[good])
        pairs.append(np.stack([one, other, views])[:, good])
    if not pairs:
        return Candidates(*np.zeros((3, 0), np.int64))
    one, other, views = np.concatenate(pairs, axis=1)
    # the nearest first; by colour last, for the brightness says where a window lies
    is_by_colour = np.array([view.by_colour for view in VIEWS])[views]
    order = np.lexsort((-np.concatenate(likeness), is_by_colour))
    _, first = np.unique(one[order] * len(signatures) + other[order], return_index=True)
    return Candidates(one, other, views).take(order[np.sort(first)])


def _all_vectors(signatures: Signatures, view: View) -> Floats:
    starts = range(0, max(1, len(signatures)), BATCH)
    return np.concatenate([_vectors(signatures[at : at + BATCH], view) for at in starts])


def _vectors(signatures: Signatures, view: View) -> Floats:
    """Vectors of length 1 of a view of the photos, [n, frequencies]; 0 for flat ones."""
    if view.by_colour:
        levels = signatures["chroma"].astype(np.float32) - 128
        side = CHROMA_SIDE
        frequencies = COLOUR_FREQUENCIES
        flat = COLOUR_FLAT
    else:
        levels = signatures["grey"].astype(np.float32)[:, None]
        side = SIDE
        frequencies = FREQUENCIES
        flat = FLAT
    if view.mirrored:
        levels = levels[..., ::-1]
    if view.gain != 1:
        levels = np.minimum(levels * view.gain, 255)
    across = _cosines(view.left, view.size, side, frequencies)
    down = _cosines(view.top, view.size, side, frequencies)
    photos, channels = levels.shape[:2]
    waves = (down @ levels @ across.T).reshape(photos, channels, frequencies**2)
    waves[..., 0] = 0  # the mean: a brighter copy has another
    vectors = waves.reshape(photos, channels * frequencies**2)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length < flat * side, 0, vectors / np.maximum(length, 1))


def _cosines(start: float, size: float, side: int, frequencies: int) -> Floats:
    """The transform of a window of a row of pixels: [frequencies, side].

    The window is resampled to `side` points between neighbours, and they are multiplied by waves.
    """
    points = (np.arange(side) + 0.5) / side
    waves = np.cos(np.pi * np.arange(frequencies)[:, None] * points)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    place = np.clip((start + size * points) * side - 0.5, 0, side - 1)
    before = np.minimum(place.astype(int), side - 2)
    resampling = np.zeros((side, side))
    resampling[np.arange(side), before] = before + 1 - place
    resampling[np.arange(side), before + 1] = place - before
    return (waves @ resampling).astype(np.float32)
