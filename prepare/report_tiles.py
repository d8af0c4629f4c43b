"""Photos that the report shows because they need a look: repeated, odd and broken ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artifact.photos.kinds import PhotoError
from prepare.convert import Photo
from prepare.repeated import Groups, Repeated
from prepare.scan import Source
from prepare.signature import EDGE_SIDE, signature_fields
from prepare.thumbnails import thumbnail, torn_thumbnail

GROUPS_SHOWN = 40  # of a kind; the rest is counted, and copies.json has all
PHOTOS_OF_A_GROUP = 6
ODD_SHOWN = 12  # of a kind
DARK = 40  # levels of 255, the mean
EMPTY = 8  # levels of 255; the deviation of the brightness and of each colour
PLAIN = 15  # levels of 255; the steepest edge of an empty photo. Faint drawings have 19 and more
BLURRED = 1.1  # steepest edge, in deviations of the brightness; sharp photos have over 1.5
SMALL = 64  # pixels of the shorter side
LONG = 3  # times the shorter side


@dataclass(frozen=True)
class Tile:
    """A photo to show. uri: of its thumbnail, or "" where there is none. words: what to read."""

    name: str
    uri: str
    words: str = ""


@dataclass(frozen=True)
class Look:
    """Groups of photos of one kind. count: of all groups, of which some are shown."""

    title: str
    words: str
    count: int
    groups: list[list[Tile]]
    more: list[int]  # photos of each group that are not shown
    urgent: bool


LOOKS = (
    (
        "conflicts",
        "Conflicting labels",
        "The same photo, or a near copy, in several classes. Keep it in one, and take it out of "
        "the others.",
        True,
    ),
    (
        "leaks",
        "Leaks",
        "The same photo, or a near copy, on several sides of the split. What is measured on it is "
        "too good. Take it out of all sides but one.",
        True,
    ),
    (
        "cut",
        "Chains that were cut",
        "Near copies that were not put into one group, since it would be too large. The two may "
        "lie on several sides. Give --groups to keep such photos together.",
        True,
    ),
    (
        "near",
        "Near copies",
        "The same photo in another size, encoding, cut or brightness, mirrored, with a mark, or "
        "frames of one video. Each group is on one side of the split.",
        False,
    ),
    (
        "duplicates",
        "Exact copies",
        "The same pixels more than once in a class. Each group is on one side of the split.",
        False,
    ),
)


def looks(repeated: Repeated, outputs: Mapping[str, Path]) -> list[Look]:
    """The kinds of repeated photos that there are. outputs: of each source's path."""
    found = []
    for name, title, words, urgent in LOOKS:
        groups: Groups = getattr(repeated, name)
        if groups:
            shown = [_tiles(group, outputs) for group in groups[:GROUPS_SHOWN]]
            more = [max(0, len(group) - PHOTOS_OF_A_GROUP) for group in groups[:GROUPS_SHOWN]]
            found.append(Look(title, words, len(groups), shown, more, urgent))
    return found


def _tiles(group: list[str], outputs: Mapping[str, Path]) -> list[Tile]:
    return [_tile(path, outputs.get(path)) for path in group[:PHOTOS_OF_A_GROUP]]


def _tile(name: str, output: Path | None, words: str = "") -> Tile:
    if output is None:
        return Tile(name, "", words)
    try:
        return Tile(name, thumbnail(output), words)
    except (OSError, PhotoError):
        return Tile(name, "", words)


def odd_tiles(
    photos: Mapping[Source, Photo], outputs: Mapping[str, Path]
) -> dict[str, tuple[int, list[Tile]]]:
    """Kind to how many photos are so, and the first of them. photos with a signature only."""
    found: dict[str, list[str]] = {}
    for source, photo in photos.items():
        for kind in odd_kinds(photo):
            found.setdefault(kind, []).append(source.path)
    tiles = {}
    for kind in sorted(found):
        paths = found[kind]
        tiles[kind] = (len(paths), [_tile(path, outputs.get(path)) for path in paths[:ODD_SHOWN]])
    return tiles


def odd_kinds(photo: Photo) -> list[str]:
    """What is odd about a photo, in words; nothing for most."""
    kinds = []
    if min(photo.width, photo.height) < SMALL:
        kinds.append(f"Small: under {SMALL} pixels")
    if max(photo.width, photo.height) > LONG * min(photo.width, photo.height):
        kinds.append(f"Long: over {LONG} times as long as wide")
    if not photo.signature:
        return kinds
    grey, chroma = signature_fields(photo.signature)
    deviation = float(np.std(grey))
    if max(deviation, *np.std(chroma, (1, 2))) < EMPTY and photo.sharpness < PLAIN:
        kinds.append("Nearly empty")
    elif max(photo.width, photo.height) >= EDGE_SIDE and photo.sharpness < BLURRED * deviation:
        kinds.append("Blurred")
    if float(np.mean(grey)) < DARK:
        kinds.append("Dark")
    return kinds


def broken_tiles(broken: Mapping[str, str], source: Path | None) -> list[Tile]:
    """The broken files, with what can be seen of them."""
    tiles = []
    for name, reason in sorted(broken.items())[:GROUPS_SHOWN]:
        uri = torn_thumbnail(source / name) if source else ""
        tiles.append(Tile(name, uri, reason))
    return tiles
