"""The photos on which an exported network is checked and its int8 model is judged."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.folders.class_listing import class_listing
from artifact.folders.class_names import class_name
from artifact.folders.layout import LayoutError, layout_of
from artifact.folders.photo_tree import PassedBy
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing
from slipway.export_error import ExportError

MOST = 400  # photos
MOST_BYTES = 256_000_000  # of their pixels
CHANNELS = ("VALIDATION", "VAL", "VALID", "TEST", "TRAIN", "TRAINING")  # the first ones are better

Labelled = tuple[Path, int]

log = logging.getLogger("slipway.export")


@dataclass(frozen=True)
class Judges:
    """Photos with their labels. paths: sorted by class. pixels: uint8 [N, S, S, 3].

    labels: numbers of classes, [N]. source: the folder that they come from; empty for none.
    """

    paths: Sequence[Path]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    source: str = ""


def chosen_photos(
    folder: Path | None, classes: Sequence[str], preprocessing: Preprocessing
) -> Judges:
    """Photos of a folder, or of the job's channels; none where no folder has the classes.

    ExportError for a folder that was named, and has no photo of the classes.
    """
    for place in [folder] if folder else job_channels():
        found = labelled(place, classes, must_be=folder is not None)
        if found:
            return read(place, found, preprocessing)
    if folder:
        raise ExportError(
            f"photos: '{folder}' has no folder with photos that is named after a class; "
            f"expected one of {', '.join(list(classes)[:5])}"
        )
    log.info("no channel has a folder of photos for each class: checked on random pixels, no int8")
    side = preprocessing.crop
    return Judges([], np.empty((0, side, side, 3), np.uint8), np.empty(0, np.int64))


def job_channels() -> Iterator[Path]:
    """The folders of the training job's channels, by their names in the environment."""
    for name in CHANNELS:
        place = os.environ.get(f"SM_CHANNEL_{name}")
        if place and Path(place).is_dir():
            yield Path(place)


def labelled(folder: Path, classes: Sequence[str], must_be: bool) -> list[Labelled]:
    """The photos in folders that are named after a class, by class and name.

    must_be: raise ExportError for a folder that cannot be listed.
    """
    numbers = {class_name(name): number for number, name in enumerate(classes)}
    found: list[Labelled] = []
    try:
        parts = layout_of(folder).parts
        part = parts.get("validation") or parts.get("test") or next(iter(parts.values()))
        for listed in class_listing(part, part, PassedBy()):
            paths = sorted(part / path for path, _ in listed.photos)
            if listed.name in numbers:
                found += [(path, numbers[listed.name]) for path in paths]
    except (LayoutError, OSError) as error:
        if must_be:
            raise ExportError(f"photos: {error}") from error
        log.info("a channel was passed by: %s", error)
        return []
    return found


def read(folder: Path, found: Sequence[Labelled], preprocessing: Preprocessing) -> Judges:
    """The pixels of some of the photos, evenly from the whole list; broken ones are left out."""
    side = preprocessing.crop
    most = min(MOST, MOST_BYTES // (side * side * 3), len(found))
    chosen = [found[index * len(found) // most] for index in range(most)]
    kept: list[Labelled] = []
    pixels: list[NDArray[np.uint8]] = [np.empty((0, side, side, 3), np.uint8)]
    for path, label in chosen:
        try:
            pixels.append(preprocessing.network_pixels(path)[None])
            kept.append((path, label))
        except PhotoError as error:
            log.warning("left out: %s", error)
    return Judges(
        [path for path, _ in kept],
        np.concatenate(pixels),
        np.array([label for _, label in kept], np.int64),
        str(folder),
    )
