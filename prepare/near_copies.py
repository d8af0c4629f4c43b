"""Photos that are copies of another, but for their encoding, size, edges, brightness or side.

candidates.py proposes pairs, alignment.py looks at their pixels: first at a quarter of them, then
at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prepare.alignment import align
from prepare.candidates import VIEWS, Candidates, Floats, candidates
from prepare.colours import Colours
from prepare.convert import Photo
from prepare.groups import Union
from prepare.scan import Source
from prepare.signature import Signatures, stack

PAIRS = 128  # looked at together: their pixels take some tens of MB
LARGEST_GROUP = 100  # photos; of more than 2,000 photos a twentieth
LARGEST_SHARE = 0.05
LEAST_COARSE = 0.9  # of 2; both likenesses together, at half the side
LEAST = 1.82  # of 2; of copies. Other photos of one studio reach 1.74, drawings 1.80
LEAST_BY_COLOUR = 0.9  # of 2; where the colours are equal
LEAST_MARKED = (0.6, 0.975)  # of a copy with a mark: all but the mark fits

Numbers = tuple[int, int]  # of two photos
NearPair = tuple[Source, Source]


@dataclass
class NearCopies:
    """pairs: enough of them to join each group. cut: pairs whose groups were too large to join."""

    pairs: list[NearPair] = field(default_factory=list)
    cut: list[NearPair] = field(default_factory=list)


def near_copies(photos: Mapping[Source, Photo]) -> NearCopies:
    """The near copies among the photos. Of photos with the same pixels the first stands for all."""
    first: dict[str, Source] = {}
    for source, photo in photos.items():
        if photo.signature:
            first.setdefault(photo.pixels, source)
    sources = list(first.values())
    joined, cut = near_pairs(stack(photos[source].signature for source in sources))
    return NearCopies(
        [(sources[one], sources[other]) for one, other in joined],
        [(sources[one], sources[other]) for one, other in cut],
    )


def near_pairs(signatures: Signatures) -> tuple[list[Numbers], list[Numbers]]:
    """Pairs of near copies that join all groups, and pairs that would make a group too large.

    The frames of one video are a chain: each is a copy of the next, and the last shows something
    else. A chain is one group up to a bound, so that no class ends in one group.
    """
    groups = Union()
    sizes: dict[object, int] = {}
    most = max(LARGEST_GROUP, round(LARGEST_SHARE * len(signatures)))
    joined: list[Numbers] = []
    cut: list[Numbers] = []
    for one, other in _copies(signatures, groups):
        left = groups.root(one)
        right = groups.root(other)
        size = sizes.get(left, 1) + sizes.get(right, 1)
        if left == right:
            continue
        if size > most:
            cut.append((one, other))
            continue
        groups.join(one, other)
        sizes[groups.root(one)] = size
        joined.append((one, other))
    return joined, cut


def _copies(signatures: Signatures, groups: Union) -> Iterator[Numbers]:
    """Pairs of copies, each beginning with the least number; not all of those within a group."""
    for found in candidates(signatures):
        start = 0
        while start < len(found.one):
            stop = start + PAIRS
            rows = np.arange(start, min(stop, len(found.one)))
            start = stop
            # those of one group already need no second look
            apart = [
                groups.root(int(found.one[row])) != groups.root(int(found.other[row]))
                for row in rows
            ]
            part = found.take(rows[np.array(apart, bool)])
            if not any(apart):
                continue
            good = _are_copies(signatures, part)
            for one, other in zip(part.one[good].tolist(), part.other[good].tolist(), strict=True):
                yield min(one, other), max(one, other)


def _are_copies(signatures: Signatures, found: Candidates) -> NDArray[np.bool_]:
    """Which candidates are copies, as their pixels say."""
    views = [VIEWS[number] for number in found.view]
    mirrored = np.array([view.mirrored for view in views], bool)
    windows = np.array([[view.size, view.size, view.left, view.top] for view in views], float)
    windows = windows.reshape(-1, 4)
    colours = Colours.of(signatures[found.one], signatures[found.other], mirrored)
    one = _turned(signatures["grey"][found.one], mirrored)
    other = signatures["grey"][found.other].astype(np.float32)
    good = np.zeros(len(found.one), bool)
    rows = np.flatnonzero(colours.fit(windows))
    if len(rows) == 0:
        return good
    coarse = align(_halved(one[rows]), _halved(other[rows]), windows[rows])
    by_colour = colours.take(rows).are_equal(windows[rows])
    kept = by_colour | (coarse.likeness.sum(0) >= LEAST_COARSE)
    rows = rows[kept]
    if len(rows):
        fine = align(one[rows], other[rows], coarse.windows[kept])
        every, rest = fine.likeness
        marked = (every >= LEAST_MARKED[0]) & (rest >= LEAST_MARKED[1])
        by_colour = by_colour[kept] | colours.take(rows).are_equal(fine.windows)
        by_colour &= every + rest >= LEAST_BY_COLOUR
        good[rows] = by_colour | marked | (every + rest >= LEAST)
    return good


def _turned(grey: NDArray[np.uint8], mirrored: NDArray[np.bool_]) -> Floats:
    photos = grey.astype(np.float32)
    photos[mirrored] = photos[mirrored][:, :, ::-1]
    return photos


def _halved(photos: Floats) -> Floats:
    pairs, side, _ = photos.shape
    return np.asarray(photos.reshape(pairs, side // 2, 2, side // 2, 2).mean((2, 4)))
