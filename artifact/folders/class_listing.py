"""The photos of a data set, class by class, and what lies beside them."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from artifact.folders.class_names import class_name
from artifact.folders.file_kinds import NO_SUFFIX, kind_of_folder, suffix_of
from artifact.folders.layout import LayoutError
from artifact.folders.photo_tree import (
    LOOSE,
    Found,
    PassedBy,
    is_folder,
    leads_back,
    pass_by_file,
    photos_below,
)
from artifact.text.names import printable


@dataclass(frozen=True)
class ClassPhotos:
    """A class and its photos, which are to be read before the next class comes."""

    name: str
    photos: Iterator[Found]


def class_listing(place: Path, top: Path, passed: PassedBy) -> Iterator[ClassPhotos]:
    """Each class of the folders in `place`, by name; folders whose names mean one class are one.

    top: the folder that paths are relative to. LayoutError after a class that lost all its photos.
    """
    for name, folders in sorted(_folders_by_class(place, top, passed).items()):
        own = PassedBy()
        photos = _Counted(_photos_of(folders, top, own))
        yield ClassPhotos(name, iter(photos))
        if not photos.count and own.lost_photos():
            raise LayoutError(_lost(folders[0], own))
        passed.update(own)


def pass_by_rest(top: Path, places: Sequence[Path], passed: PassedBy) -> None:
    """Count what lies in `top`, but in none of the places, which hold the folders of classes."""
    above = set(chain.from_iterable(place.parents for place in places))
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        if folder in places:
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if path in places or path in above:
                    waiting.append(path)
                elif is_folder(entry):
                    _pass_by_folder(entry, top, passed)
                else:
                    pass_by_file(entry, _relative(entry.path, top), passed)


def _folders_by_class(place: Path, top: Path, passed: PassedBy) -> dict[str, list[str]]:
    """Class to the paths of its folders. Other files in `place` are counted."""
    found: dict[str, list[str]] = {}
    with os.scandir(place) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if not is_folder(entry):
            pass_by_file(entry, _relative(entry.path, top), passed)
        elif _is_listed(entry, top, passed):
            found.setdefault(class_name(entry.name), []).append(entry.path)
    return found


def _photos_of(folders: list[str], top: Path, passed: PassedBy) -> Iterator[Found]:
    for folder in folders:
        prefix = f"{_relative(folder, top)}/"
        yield from photos_below(Path(folder), passed, prefix, os.path.realpath(top))


def _pass_by_folder(entry: "os.DirEntry[str]", top: Path, passed: PassedBy) -> None:
    if not _is_listed(entry, top, passed):
        return
    for path, _ in _photos_of([entry.path], top, passed):
        passed.add(path, LOOSE, suffix_of(path) or NO_SUFFIX)


def _is_listed(entry: "os.DirEntry[str]", top: Path, passed: PassedBy) -> bool:
    """Whether a folder's photos are listed; else it is counted: a system's, or a link back."""
    path = _relative(entry.path, top)
    kind = kind_of_folder(entry.name)
    if kind:
        passed.add(f"{path}/", kind, entry.name)
        return False
    reason = ""
    if entry.is_symlink():
        reason = leads_back(entry.path, os.path.realpath(top))
    if reason:
        passed.links[path] = reason
    return not reason


def _relative(path: str, top: Path) -> str:
    return os.path.relpath(path, top)


def _lost(folder: str, passed: PassedBy) -> str:
    what = passed.sentence()
    first = next(iter(passed.unreadable.items()), None)
    if first:
        path, reason = first
        what = f"'{printable(path)}': {reason}"
    return (
        f"the folder of a class '{printable(folder)}' has no photo that can be read ({what}); "
        "put its photos there, or take the folder away"
    )


class _Counted:
    """Passes photos on and counts them."""

    def __init__(self, photos: Iterator[Found]):
        self._photos = photos
        self.count = 0

    def __iter__(self) -> Iterator[Found]:
        for found in self._photos:
            self.count += 1
            yield found
