"""Which photos may be near copies: a search for the nearest vectors, never all pairs.

A photo's vector is the low frequencies of its brightness (a discrete cosine transform), scaled to
length 1, as a perceptual hash has them before it rounds them to bits. Each photo asks the index for
its nearest neighbours as it is, and as a copy of it would look: mirrored, cut, brightened. The
index is faiss's graph (HNSW): n photos take about n log n steps. Source: Malkov and Yashunin,
"Efficient and robust approximate nearest neighbor search using HNSW graphs", 2016.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from prepare.signature import SIDE

FREQUENCIES = 8  # across and down
CUT = 0.9  # of a side, what a cut leaves
CORNERS = (0.0, 0.5, 1.0)  # where the rest lies, from the left or top edge to the other
GAINS = (1.35, 1.7)  # of a brightened copy, whose white is cut off
NEIGHBOURS = 8  # of each query
LEAST_LIKENESS = 0.65  # cosine of the angle between two vectors
FLAT = 0.7  # levels of 255; a photo whose brightness deviates less has nothing to compare
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

    left, top, size: of the window, in shares of a side.
    """

    left: float = 0.0
    top: float = 0.0
    size: float = 1.0
    mirrored: bool = False
    gain: float = 1.0


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
    plain += [View((1 - CUT) * left, (1 - CUT) * top, CUT) for left in CORNERS for top in CORNERS]
    plain += [View(gain=gain) for gain in GAINS]
    mirrored = [
        View(1 - view.left - view.size, view.top, view.size, True, view.gain) for view in plain
    ]
    return plain + mirrored


VIEWS = _views()  # a mirrored view's window lies in the mirrored photo


def candidates(grey: Pixels) -> Iterator[Candidates]:
    """Pairs of photos that may be near copies, in batches of `one`. grey: [n, SIDE, SIDE]."""
    vectors = _all_vectors(grey)
    rows = np.flatnonzero(np.any(vectors, axis=1))  # without the flat ones
    if len(rows) < 2:
        return
    index = _index(vectors[rows])
    for start in range(0, len(rows), BATCH):
        asking = rows[start : start + BATCH]
        yield _neighbours(index, rows, asking, grey[asking])


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
    index: faiss.Index, rows: NDArray[np.int64], asking: NDArray[np.int64], grey: Pixels
) -> Candidates:
    """What each view of the asking photos finds; a pair counts once, by its nearest view."""
    likeness = []
    pairs = []
    for number, view in enumerate(VIEWS):
        near, found = index.search(_vectors(grey, view), min(NEIGHBOURS + 1, len(rows)))
        one = np.repeat(asking, found.shape[1])
        other = rows[found.ravel()]  # -1, for none, is the last row: its likeness is low
        views = np.full(len(one), number)
        good = (near.ravel() >= LEAST_LIKENESS) & (found.ravel() >= 0) & (one != other)
        likeness.append(near.ravel()[good])
        pairs.append(np.stack([one, other, views])[:, good])
    one, other, views = np.concatenate(pairs, axis=1)
    order = np.argsort(-np.concatenate(likeness), kind="stable")
    _, first = np.unique(one[order] * (rows[-1] + 1) + other[order], return_index=True)
    return Candidates(one, other, views).take(order[np.sort(first)])  # the nearest first


def _all_vectors(grey: Pixels) -> Floats:
    parts = [_vectors(grey[at : at + BATCH], View()) for at in range(0, len(grey), BATCH)]
    return np.concatenate([np.zeros((0, FREQUENCIES**2), np.float32), *parts])


def _vectors(grey: Pixels, view: View) -> Floats:
    """Vectors [n, FREQUENCIES^2] of length 1 of a view of the photos; 0 for flat ones."""
    levels = grey.astype(np.float32)
    if view.mirrored:
        levels = levels[:, :, ::-1]
    if view.gain != 1:
        levels = np.minimum(levels * view.gain, 255)
    across = _cosines(view.left, view.size)
    down = _cosines(view.top, view.size)
    waves = (down @ levels @ across.T).reshape(len(levels), -1)
    waves[:, 0] = 0  # the mean: a brighter copy has another
    length = np.linalg.norm(waves, axis=1, keepdims=True)
    return np.where(length < FLAT * SIDE, 0, waves / np.maximum(length, 1))


def _cosines(start: float, size: float) -> Floats:
    """The transform of a window of a row of pixels: [FREQUENCIES, SIDE].

    The window is resampled to SIDE points between neighbours, and they are multiplied by waves.
    """
    points = (np.arange(SIDE) + 0.5) / SIDE
    waves = np.cos(np.pi * np.arange(FREQUENCIES)[:, None] * points)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    place = np.clip((start + size * points) * SIDE - 0.5, 0, SIDE - 1)
    before = np.minimum(place.astype(int), SIDE - 2)
    resampling = np.zeros((SIDE, SIDE))
    resampling[np.arange(SIDE), before] = before + 1 - place
    resampling[np.arange(SIDE), before + 1] = place - before
    return (waves @ resampling).astype(np.float32)
