"""Which photos a job trains, validates and tests on, and what their classes are.

Reads names only, no pixels. A class is a folder of a channel; what lies below it belongs to it.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artifact.channels import CHANNEL_NAMES
from train.data.photo_index import (
    Labels,
    PhotoIndex,
    PhotoPaths,
    fingerprint,
    index_photos,
    merge_copies,
)
from train.job import JobError
from train.progress import Progress

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photos:
    """Paths of photos and the labels of each, indices into the classes: one, or with multi_label one and more."""

    paths: Sequence[Path] = ()
    labels: Sequence[tuple[int, ...]] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Sequence[int]) -> "Photos":
        """Those at the indices, in that order."""
        return Photos(self.paths.take(indices), self.labels.take(indices)) if len(self) else self


@dataclass(frozen=True)
class Channels:
    """A job's photos by channel. `fingerprint` is the SHA-256 of all names and sizes in bytes."""

    classes: tuple[str, ...]
    train: Photos
    validation: Photos
    test: Photos
    fingerprint: str


def read_channels(
    folders: dict[str, Path],
    split: tuple[float, ...],
    seed: int,
    not_photos: set[str] = frozenset(),
    multi_label: bool = False,
) -> Channels:
    """The photos in a job's channels; what has no channel of its own is split off the train channel.

    folders: channel name to folder. not_photos: channels that hold something else, such as weights. multi_label:
    equal files in several class folders are one photo with all their labels.
    JobError when there is no train channel, it is empty, holds one class only, or another holds an unknown class.
    """
    folders = _roles({name: path for name, path in folders.items() if name not in not_photos})
    listed = {
        role: index_photos(folder, Progress(f"listing the {role} channel"))
        for role, folder in folders.items()
    }
    classes = tuple(sorted(listed["train"].classes))
    if not classes:
        raise JobError(
            f"the train channel '{folders['train']}' holds no photos; expected a folder of photos for each class"
        )
    if len(classes) < 2:
        raise JobError(
            f"the train channel '{folders['train']}' holds one class only ('{classes[0]}'); a classifier needs two"
        )
    for role, files in listed.items():
        if unknown := sorted(files.classes.keys() - set(classes)):
            raise JobError(
                f"the {role} channel has a class '{unknown[0]}' that the train channel has not"
            )
        if not files:
            raise JobError(
                f"the {role} channel '{folders[role]}' holds no photos; fill it or leave the channel out"
            )
    parts = {role: _photos(role, files, classes, multi_label) for role, files in listed.items()}
    parts |= _split_off(parts, listed["train"].class_indices(classes), classes, split, seed)
    return Channels(
        classes, *(parts.get(role, Photos()) for role in CHANNEL_NAMES), fingerprint(listed)
    )


def _roles(folders: dict[str, Path]) -> dict[str, Path]:
    """Our three names for the channels found; a single channel of any name may hold train/ valid/ test/ folders."""
    if len(folders) == 1 and not folders.keys() & {
        *CHANNEL_NAMES["validation"],
        *CHANNEL_NAMES["test"],
    }:
        only = next(iter(folders.values()))
        inside = {path.name: path for path in sorted(only.iterdir()) if path.is_dir()}
        nested = _named(inside)
        if "train" in nested and len(nested) > 1:
            return nested
        return {"train": only}
    roles = _named(folders)
    for name in folders.keys() - {path.name for path in roles.values()}:
        log.warning(
            "channel '%s' is not used; known: %s",
            name,
            ", ".join(name for names in CHANNEL_NAMES.values() for name in names),
        )
    if "train" not in roles:
        found = ", ".join(sorted(folders)) or "none"
        raise JobError(f"there is no train channel under input/data; found: {found}")
    return roles


def _named(folders: dict[str, Path]) -> dict[str, Path]:
    roles: dict[str, Path] = {}
    for role, names in CHANNEL_NAMES.items():
        found = [name for name in names if name in folders]
        if len(found) > 1:
            raise JobError(f"channels {' and '.join(found)} both mean {role}; give one")
        if found:
            roles[role] = folders[found[0]]
    return roles


def _photos(role: str, files: PhotoIndex, classes: Sequence[str], multi_label: bool) -> Photos:
    """A channel's files with their labels, equal ones merged if there may be several labels."""
    own = files.class_indices(classes)
    if not multi_label:
        return Photos(
            PhotoPaths(files, np.arange(len(files), dtype=np.int32)), Labels(own[:, None])
        )
    rows, labels = merge_copies(
        files, own, Progress(f"comparing files of equal size in the {role} channel")
    )
    return Photos(PhotoPaths(files, rows), labels)


def _split_off(
    parts: dict[str, Photos],
    own: np.ndarray,
    classes: Sequence[str],
    split: tuple[float, ...],
    seed: int,
) -> dict[str, Photos]:
    """The train channel without each class's shares for the channels that are missing, at least one photo staying, and these.

    own: the class of each file of the train channel, int32. With train and validation given there is no call for a test
    channel of our own making.
    """
    shares = dict(zip(CHANNEL_NAMES, split))
    missing = (
        []
        if "validation" in parts
        else ["validation"]
        if "test" in parts
        else ["validation", "test"]
    )
    if not missing:
        return {}
    log.info("no %s channel: split off train by seed %d", " or ".join(missing), seed)
    whole = parts["train"]
    bounds = np.searchsorted(own[whole.paths.rows], np.arange(len(classes) + 1))
    channel_of = np.zeros(len(whole), np.int8)  # 0 stays in train
    for index, name in enumerate(classes):
        start, photos = int(bounds[index]), int(bounds[index + 1] - bounds[index])
        order = list(range(photos))
        random.Random(f"{seed}/{name}").shuffle(order)
        for number, role in enumerate(missing, 1):
            count = min(max(1, round(photos * shares[role])), len(order) - 1) if shares[role] else 0
            if count > 0:
                channel_of[start + np.array(order[:count])] = number
                order = order[count:]
    return {
        role: whole.take(np.flatnonzero(channel_of == number))
        for number, role in enumerate(["train", *missing])
    }
