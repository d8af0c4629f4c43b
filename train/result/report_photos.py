"""The photos of a training's report: the wrong answers, and small pictures of photos.

Wrong answers are the worst ones, and all of them by classes. Pictures keep within a budget of bytes
and of time.
"""

import base64
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifact.photos.decoder import read_reduced

OVERLAY_SIDE = 40  # pixels, which the browser smooths

Map = NDArray[np.float32]  # [H, W]
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
class Picture:
    """A data URI, and the whole photo's pixels; without one, the reason why."""

    uri: str = ""
    width: int = 0
    height: int = 0
    gap: str = ""


def thumbnail(path: Path, side: int, quality: int = 78) -> Picture:
    """The photo as a JPEG of at most side x side pixels, or the reason why there is none."""
    try:
        photo = read_reduced(path, side)
        small = photo.image
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.info.clear()  # where and by whom a photo was taken does not go into the page
        data = io.BytesIO()
        small.save(data, "JPEG", quality=quality, optimize=True)
    except Exception as error:  # any: one picture must never cost the page
        return Picture(gap=str(error) or type(error).__name__)
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{encoded}", *photo.size)


@dataclass(frozen=True)
class Seen:
    """What of a photo speaks for an answer.

    places: 0 to 1, over the square that the network sees. share: of the photo's shorter side.
    """

    places: Map
    share: float


def overlay(seen: Seen | None, picture: Picture) -> dict[str, object] | None:
    """A PNG to lay over the photo, and its place in percent of the photo; None without one."""
    if seen is None or not picture.uri:
        return None
    levels = Image.fromarray((255 * seen.places).astype(np.uint8))
    smooth = np.asarray(levels.resize((OVERLAY_SIDE, OVERLAY_SIDE), Image.Resampling.BICUBIC))
    pixels = np.empty((OVERLAY_SIDE, OVERLAY_SIDE, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[..., 1] = 220 - (smooth * 0.75).astype(np.uint8)  # from yellow to red
    pixels[..., 2] = 20
    pixels[..., 3] = (smooth * 0.7).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", optimize=True)
    shorter = min(picture.width, picture.height)
    width = 100 * seen.share * shorter / picture.width
    height = 100 * seen.share * shorter / picture.height
    return {
        "uri": f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode('ascii')}",
        "left": round((100 - width) / 2, 2),
        "top": round((100 - height) / 2, 2),
        "width": round(width, 2),
        "height": round(height, 2),
    }


class Album:
    """Thumbnails of one size, as long as there are bytes and seconds left."""

    def __init__(self, side: int, quality: int, most_bytes: int, most_s: float):
        self.side = side
        self.quality = quality
        self.left = most_bytes
        self._end = time.monotonic() + most_s
        self._known: dict[Path, Picture] = {}

    def picture(self, path: Path) -> Picture | None:
        """None where nothing is left; a photo that was asked for before costs nothing."""
        if path in self._known:
            return self._known[path]
        if self.left <= 0 or time.monotonic() > self._end:
            return None
        picture = thumbnail(path, self.side, self.quality)
        self.left -= len(picture.uri)
        self._known[path] = picture
        return picture


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
