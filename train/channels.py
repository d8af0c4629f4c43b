"""Which photos a job trains, validates and tests on, and what their classes are.

Reads names only, no pixels. A class is a folder of a channel; what lies below it belongs to it.
"""

import hashlib
import logging
import os
import random
from dataclasses import dataclass
from pathlib import Path

from artifact.channels import CHANNEL_NAMES
from train.job import JobError

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Photos:
    """Files and the labels of each, indices into the classes: one, or with multi_label one and more."""

    paths: tuple[Path, ...] = ()
    labels: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Channels:
    """A job's photos by channel. `fingerprint` is the SHA-256 of all names and sizes in bytes."""

    classes: tuple[str, ...]
    train: Photos
    validation: Photos
    test: Photos
    fingerprint: str


def read_channels(folders: dict[str, Path], split: tuple[float, ...], seed: int, not_photos: set[str] = frozenset(),
                  multi_label: bool = False) -> Channels:
    """The photos in a job's channels; what has no channel of its own is split off the train channel.

    folders: channel name to folder. not_photos: channels that hold something else, such as weights. multi_label:
    equal files in several class folders are one photo with all their labels.
    JobError when there is no train channel, it is empty, holds one class only, or another holds an unknown class.
    """
    folders = _roles({name: path for name, path in folders.items() if name not in not_photos})
    listed = {role: _list(folder) for role, folder in folders.items()}
    classes = tuple(sorted(listed["train"]))
    if not classes:
        raise JobError(f"the train channel '{folders['train']}' holds no photos; expected a folder of photos for each class")
    if len(classes) < 2:
        raise JobError(f"the train channel '{folders['train']}' holds one class only ('{classes[0]}'); a classifier needs two")
    for role, photos in listed.items():
        if unknown := sorted(photos.keys() - set(classes)):
            raise JobError(f"the {role} channel has a class '{unknown[0]}' that the train channel has not")
        if not photos:
            raise JobError(f"the {role} channel '{folders[role]}' holds no photos; fill it or leave the channel out")
    fingerprint = _fingerprint(folders, listed)
    labels = {path: [name] for photos in listed.values() for name, paths in photos.items() for path in paths}
    if multi_label:
        for photos in listed.values():
            _merge_copies(photos, labels)
    _split_off(listed, split, seed)
    parts = {role: _photos(listed.get(role, {}), labels, classes) for role in CHANNEL_NAMES}
    return Channels(classes, parts["train"], parts["validation"], parts["test"], fingerprint)


def _roles(folders: dict[str, Path]) -> dict[str, Path]:
    """Our three names for the channels found; a single channel of any name may hold train/ valid/ test/ folders."""
    if len(folders) == 1 and not folders.keys() & {*CHANNEL_NAMES["validation"], *CHANNEL_NAMES["test"]}:
        only = next(iter(folders.values()))
        inside = {path.name: path for path in sorted(only.iterdir()) if path.is_dir()}
        nested = _named(inside)
        if "train" in nested and len(nested) > 1:
            return nested
        return {"train": only}
    roles = _named(folders)
    for name in folders.keys() - {path.name for path in roles.values()}:
        log.warning("channel '%s' is not used; known: %s", name, ", ".join(name for names in CHANNEL_NAMES.values() for name in names))
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


def _list(folder: Path) -> dict[str, list[Path]]:
    """Class name to photos, sorted; folders without photos are no class."""
    classes = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            photos = [Path(base) / name for base, _, names in os.walk(entry.path, onerror=_fail, followlinks=True) for name in names
                      if Path(name).suffix.lower() in PHOTO_SUFFIXES and not name.startswith(".")]
            if photos:
                classes[entry.name] = sorted(photos)
    return classes


def _fail(error: OSError) -> None:
    raise error  # a folder that cannot be read must not drop out in silence


def _split_off(listed: dict[str, dict[str, list[Path]]], split: tuple[float, ...], seed: int) -> None:
    """Move each class's shares for the channels that are missing out of train, at least one photo staying there.

    With train and validation given there is no call for a test channel of our own making.
    """
    shares = dict(zip(CHANNEL_NAMES, split))
    missing = [] if "validation" in listed else ["validation"] if "test" in listed else ["validation", "test"]
    for role in missing:
        listed[role] = {}
    if missing:
        log.info("no %s channel: split off train by seed %d", " or ".join(missing), seed)
    for name in sorted(listed["train"]):
        photos = listed["train"][name]
        order = sorted(photos)
        random.Random(f"{seed}/{name}").shuffle(order)
        for role in missing:
            count = min(max(1, round(len(photos) * shares[role])), len(order) - 1) if shares[role] else 0
            if count > 0:
                listed[role][name], order = sorted(order[:count]), order[count:]
        listed["train"][name] = sorted(order)


def _merge_copies(listed: dict[str, list[Path]], labels: dict[Path, list[str]]) -> None:
    """Leave the first of equal files in the list, with the labels of all."""
    first: dict[bytes, Path] = {}
    for name, paths in listed.items():
        kept = []
        for path in paths:
            original = first.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
            if original is path:
                kept.append(path)
            elif name not in labels[original]:
                labels[original].append(name)
        listed[name] = kept


def _photos(listed: dict[str, list[Path]], labels: dict[Path, list[str]], classes: tuple[str, ...]) -> Photos:
    index_of = {name: index for index, name in enumerate(classes)}
    paths = tuple(path for name in classes for path in listed.get(name, ()))
    return Photos(paths, tuple(tuple(index_of[name] for name in labels[path]) for path in paths))


def _fingerprint(folders: dict[str, Path], listed: dict[str, dict[str, list[Path]]]) -> str:
    digest = hashlib.sha256()
    for role in sorted(listed):
        for name in sorted(listed[role]):
            for path in listed[role][name]:
                digest.update(f"{role}/{path.relative_to(folders[role])}\0{path.stat().st_size}\n".encode())
    return digest.hexdigest()
