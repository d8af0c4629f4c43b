"""The photos that a job trains, validates and tests on, and their classes.

It reads names only, no pixels. A class is a folder of a channel, with all folders below it.
"""

import dataclasses
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.folders.channels import CHANNEL_NAMES
from artifact.folders.class_names import ClassNameError, check_class_names
from artifact.folders.layout import Layout, LayoutError, layout_of, unwrapped, with_depth
from artifact.folders.photo_tree import PassedBy
from artifact.text.names import printable
from train.data.copies import merge_copies
from train.data.photo_index import (
    Labels,
    PhotoIndex,
    PhotoPaths,
    fingerprint,
    index_photos,
    merged,
)
from train.data.row_stores import Indices
from train.data.shared_out import check_shared_out
from train.job import JobError
from train.progress import Progress

LISTED = 200  # files left out that the log names

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photos:
    """Paths of photos and the labels of each, indices into the classes.

    A photo has one label, or with multi_label one and more.
    """

    paths: PhotoPaths
    labels: Labels

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Indices) -> "Photos":
        """The photos at the indices, in that order."""
        return Photos(self.paths.take(indices), self.labels.take(indices))

    def on_host(self, number: int) -> "Photos":
        """Those that a host has."""
        owners = self.paths.owners
        if owners is None:
            return self
        return self.take(np.flatnonzero(owners == number))


@dataclass(frozen=True)
class Channels:
    """A job's photos by channel. `fingerprint` is the SHA-256 of all names and sizes in bytes."""

    classes: tuple[str, ...]
    train: Photos
    validation: Photos
    test: Photos
    fingerprint: str

    def on_host(self, number: int) -> "Channels":
        """The same with the training photos that a host has."""
        return dataclasses.replace(self, train=self.train.on_host(number))


@dataclass(frozen=True)
class SharedOut:
    """Channels of which each host has a part of the photos: SageMaker's ShardedByS3Key.

    names: of the channels. exchange: from this host's index of photos to those of all hosts.
    """

    names: frozenset[str]
    exchange: Callable[[PhotoIndex], list[PhotoIndex]]


def read_channels(
    folders: Mapping[str, Path],
    split: Sequence[float],
    seed: int,
    not_photos: Collection[str] = (),
    multi_label: bool = False,
    shared_out: SharedOut | None = None,
) -> Channels:
    """The photos in a job's channels; missing channels are split off the train channel.

    folders: channel name to folder. split: the shares of train, validation and test. not_photos:
    channels that hold something else, such as weights. multi_label: equal files in several class
    folders are one photo with all their labels. shared_out: the train channel may be, and is then
    that of all hosts together.
    JobError without a train channel, when it is empty or has one class only, and when another
    channel is empty or has an unknown class.
    """
    given = {name: path for name, path in folders.items() if name not in not_photos}
    try:
        roles = _roles(given)
        indexed = {role: _index(role, folder) for role, folder in roles.items()}
        if shared_out:
            check_shared_out(shared_out.names, given, roles, split, multi_label)
            own = indexed["train"]
            indexed["train"] = merged(shared_out.exchange(own), own.folder)
        classes = tuple(sorted(indexed["train"].classes))
        _check(roles, indexed, classes)
    except (LayoutError, ClassNameError) as error:
        raise JobError(str(error)) from error
    parts = {role: _photos(role, indexed[role], classes, multi_label) for role in indexed}
    parts |= _split_off(parts, indexed["train"].class_indices(classes), classes, split, seed)
    nothing = Photos(parts["train"].paths[:0], parts["train"].labels[:0])
    return Channels(
        classes=classes,
        train=parts["train"],
        validation=parts.get("validation", nothing),
        test=parts.get("test", nothing),
        fingerprint=fingerprint(indexed),
    )


def _index(role: str, folder: Path) -> PhotoIndex:
    """The photos of a channel. What was passed by is in the log."""
    passed = PassedBy()
    index = index_photos(folder, Progress(f"listing the {role} channel"), passed)
    if passed.kinds:
        log.info("passed by in the %s channel: %s", role, passed.sentence())
    for path, reason in sorted(passed.reasons().items())[:LISTED]:
        log.warning("left out of the %s channel: '%s': %s", role, printable(path), reason)
    if len(passed.reasons()) > LISTED:
        log.warning("left out of the %s channel: %d in all", role, len(passed.reasons()))
    return index


def _roles(folders: Mapping[str, Path]) -> dict[str, Path]:
    """The folders of class folders by our names: train, validation, test.

    A single channel of any name may hold folders train/, valid/ and test/.
    """
    held_out = {*CHANNEL_NAMES["validation"], *CHANNEL_NAMES["test"]}
    if len(folders) == 1 and not folders.keys() & held_out:
        return _said(layout_of(next(iter(folders.values()))))
    roles = _named(folders)
    known = ", ".join(", ".join(names) for names in CHANNEL_NAMES.values())
    for name in folders.keys() - {path.name for path in roles.values()}:
        log.warning("channel '%s' is not used; known: %s", name, known)
    if "train" not in roles:
        found = ", ".join(sorted(folders)) or "none"
        raise JobError(f"input/data lacks the channel train; found: {found}")
    return _said(with_depth(Layout(unwrapped(roles))))


def _said(layout: Layout) -> dict[str, Path]:
    """The folder of each part. What was guessed is in the log."""
    if layout.said:
        log.info(layout.said)
    return {role or "train": place for role, place in layout.parts.items()}


def _named(folders: Mapping[str, Path]) -> dict[str, Path]:
    roles: dict[str, Path] = {}
    for role, names in CHANNEL_NAMES.items():
        found = [name for name in names if name in folders]
        if len(found) > 1:
            raise JobError(f"channels {' and '.join(found)} both mean {role}; give one")
        if found:
            roles[role] = folders[found[0]]
    return roles


def _check(
    folders: Mapping[str, Path], indexed: Mapping[str, PhotoIndex], classes: Sequence[str]
) -> None:
    """JobError when nothing can be trained, validated or tested on these photos."""
    train = f"the train channel '{folders['train']}'"
    if not classes:
        raise JobError(f"{train} holds no photos; expected a folder of photos for each class")
    if len(classes) < 2:
        raise JobError(f"{train} holds one class only ('{classes[0]}'); a classifier needs two")
    check_class_names(classes, train)
    for role, index in indexed.items():
        check_class_names({*classes, *index.classes}, f"the {role} channel with the train channel")
        unknown = sorted(index.classes.keys() - set(classes))
        if unknown:
            raise JobError(
                f"the {role} channel has a class '{unknown[0]}' that the train channel has not"
            )
        if not index:
            channel = f"the {role} channel '{folders[role]}'"
            raise JobError(f"{channel} holds no photos; fill it or leave the channel out")


def _photos(role: str, index: PhotoIndex, classes: Sequence[str], multi_label: bool) -> Photos:
    """A channel's files with their labels; with multi_label, equal files are merged."""
    own = index.class_indices(classes)
    if not multi_label:
        every = np.arange(len(index), dtype=np.int32)
        return Photos(PhotoPaths(index, every), Labels(own[:, None]))
    progress = Progress(f"comparing files of equal size in the {role} channel")
    rows, labels = merge_copies(index, own, progress)
    return Photos(PhotoPaths(index, rows), labels)


def _split_off(
    parts: Mapping[str, Photos],
    own: NDArray[np.int32],
    classes: Sequence[str],
    split: Sequence[float],
    seed: int,
) -> dict[str, Photos]:
    """The missing channels, and the train channel without their photos; {} when none is missing.

    own: the class of each file of the train channel, int32. Each missing channel gets its share of
    each class, and at least one photo of a class stays in train. With train and validation given,
    no test channel is made.
    """
    missing = []
    if "validation" not in parts:
        missing.append("validation")
        if "test" not in parts:
            missing.append("test")
    if not missing:
        return {}
    log.info("no %s channel: split off train by seed %d", " or ".join(missing), seed)
    shares = dict(zip(CHANNEL_NAMES, split, strict=True))
    whole = parts["train"]
    # the photos of class i are bounds[i]:bounds[i + 1]
    bounds = np.searchsorted(own[whole.paths.rows], np.arange(len(classes) + 1)).tolist()
    channel_of = np.zeros(len(whole), np.int8)  # 0 stays in train
    for index, name in enumerate(classes):
        start = bounds[index]
        photos = bounds[index + 1] - start
        order = list(range(photos))
        random.Random(f"{seed}/{name}").shuffle(order)
        for number, role in enumerate(missing, 1):
            count = _count(photos, shares[role], len(order))
            channel_of[start + np.array(order[:count], np.int64)] = number
            order = order[count:]
    split_parts = {}
    for number, role in enumerate(["train", *missing]):
        split_parts[role] = whole.take(np.flatnonzero(channel_of == number))
    return split_parts


def _count(photos: int, share: float, left: int) -> int:
    """Photos of a class that leave train: its share, at least one, and never the last one left."""
    if not share:
        return 0
    return max(0, min(max(1, round(photos * share)), left - 1))
