"""The wrong answers of a training, for its report: the worst ones, and all of them by classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.result.report_photos import Album, Picture, Seen, overlay, thumbnail

MOST_WORST = 24  # pictures, about 10 kB each
WORST_SIDE = 256  # pixels
MOST_LISTED = 3000  # mistakes that a page names, about 200 bytes each
ALBUM_SIDE = 112  # pixels
ALBUM_QUALITY = 70  # of JPEG: about 3 kB each
ALBUM_BYTES = 1_200_000
ALBUM_S = 20.0

Values = NDArray[Any]
Row = dict[str, object]


@dataclass(frozen=True)
class Mistakes:
    """The wrong answers, the surest first.

    places: [M], of the photos; true, answered, probability, true_probability: of each, [M].
    """

    places: Values
    true: Values
    answered: Values
    probability: Values
    true_probability: Values


def mistakes(labels: Values, probabilities: Values) -> Mistakes:
    """labels: [N], indices into the classes. probabilities: [N, C], none of them NaN."""
    predictions = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(labels != predictions)
    order = wrong[np.argsort(-probabilities[wrong, predictions[wrong]], kind="stable")]
    true = labels[order]
    answered = predictions[order]
    return Mistakes(
        order, true, answered, probabilities[order, answered], probabilities[order, true]
    )


def worst(found: Mistakes, paths: Sequence[Path], saliency: Mapping[Path, Seen]) -> list[Row]:
    """Rows with a picture each, and with what speaks for the answer where that is known."""
    rows = []
    for index in range(min(MOST_WORST, len(found.places))):
        path = Path(paths[found.places[index]])
        picture = thumbnail(path, WORST_SIDE)
        seen = overlay(saliency.get(path), picture)
        rows.append(_row(found, index, path) | {"picture": picture, "seen": seen})
    return rows


def by_class(found: Mistakes, paths: Sequence[Path]) -> list[Row]:
    """All mistakes, by true class and by answer: the most frequent first, in each the surest.

    Each pair of classes gets a picture before any gets a second one.
    """
    album = Album(ALBUM_SIDE, ALBUM_QUALITY, ALBUM_BYTES, ALBUM_S)
    pairs: dict[tuple[int, int], list[int]] = {}
    for index in range(len(found.places)):
        pair = (int(found.true[index]), int(found.answered[index]))
        pairs.setdefault(pair, []).append(index)
    ordered = sorted(pairs.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    pictures = _pictures([members for _, members in ordered], found, paths, album)
    groups: dict[int, list[Row]] = {}
    left = MOST_LISTED
    for (true, answered), members in ordered:
        rows = []
        for index in members[:left]:
            path = Path(paths[found.places[index]])
            rows.append(_row(found, index, path) | {"picture": pictures.get(index)})
        left -= len(rows)
        pair_row: Row = {"answered": answered, "count": len(members), "mistakes": rows}
        groups.setdefault(true, []).append(pair_row)
    classes: list[Row] = []
    for true, rows in groups.items():
        classes.append({"true": true, "pairs": rows, "count": _total(rows)})
    return sorted(classes, key=lambda row: -_total([row]))


def _total(rows: Sequence[Row]) -> int:
    return sum(int(str(row["count"])) for row in rows)


def _pictures(
    groups: Sequence[Sequence[int]], found: Mistakes, paths: Sequence[Path], album: Album
) -> dict[int, Picture]:
    """By mistake: the first of each group, then the second of each, while the album has room."""
    pictures: dict[int, Picture] = {}
    longest = max(map(len, groups), default=0)
    for place in range(longest):
        for members in groups:
            if place >= len(members):
                continue
            picture = album.picture(Path(paths[found.places[members[place]]]))
            if picture is None:
                return pictures
            pictures[members[place]] = picture
    return pictures


def _row(found: Mistakes, index: int, path: Path) -> Row:
    return {
        "file": path.name,
        "true": int(found.true[index]),
        "answered": int(found.answered[index]),
        "probability": float(found.probability[index]),
        "true_probability": float(found.true_probability[index]),
    }
