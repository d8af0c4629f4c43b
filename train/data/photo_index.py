"""Lists of photos and their labels in some tens of bytes per photo, so that a million fits easily.

Names are bytes in one buffer; sizes, times and labels are arrays. A Path is made on demand.
"""

import dataclasses
import hashlib
import itertools
import operator
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from artifact.folders.class_listing import class_listing
from artifact.folders.photo_tree import Found, PassedBy
from train.data.row_stores import Indices
from train.progress import Progress

MISSING = -1  # fills up the Labels of a photo that has fewer than others
AT_ONCE = 4096  # files hashed, or names joined, at a time


@dataclass(frozen=True)
class PhotoIndex:
    """The photos of a folder, class by class, and in the order of their paths within a class.

    names: relative to the folder, joined, uint8. ends: where each name ends in it. sizes: bytes.
    changed: st_ctime in ns, not st_mtime: no program can set it. All int64 [N]. classes: class name
    to number of photos, in order; a folder without photos is not a class. owners: the number of the
    host that has each photo, int16 [N]; None where every host has all.
    """

    folder: Path
    names: NDArray[np.uint8]
    ends: NDArray[np.int64]
    sizes: NDArray[np.int64]
    changed: NDArray[np.int64]
    classes: dict[str, int]
    owners: NDArray[np.int16] | None = None

    def __len__(self) -> int:
        return len(self.ends)

    def name(self, row: int) -> bytes:
        """The name of one photo, relative to the folder."""
        start = self.ends[row - 1] if row else 0
        return self.names[start : self.ends[row]].tobytes()

    def class_indices(self, classes: Sequence[str]) -> NDArray[np.int32]:
        """The class of each photo, as an index into `classes`: int32 [N]."""
        index_of = {name: index for index, name in enumerate(classes)}
        indices = np.array([index_of[name] for name in self.classes], np.int32)
        return np.repeat(indices, list(self.classes.values()))

    def rows_of(self, name: str) -> range:
        """The rows of a class's photos; none for a class that is not there."""
        start = 0
        for other, count in self.classes.items():
            if other == name:
                return range(start, start + count)
            start += count
        return range(0)


class _Listing:
    """An index under way."""

    def __init__(self) -> None:
        self.names = bytearray()
        self.ends = _numbers()
        self.sizes = _numbers()
        self.changed = _numbers()
        self.classes: dict[str, int] = {}

    def add_class(
        self, name: str, names: list[str], sizes: "array[int]", changed: "array[int]"
    ) -> list[int]:
        """Append a class's photos, sorted; the order. names: relative to the folder."""
        # as Path sorts, part by part: "a/b.jpg" before "a-b.jpg"
        keys = [path.replace("/", "\0") for path in names]
        order = sorted(range(len(names)), key=keys.__getitem__)
        encoded = [os.fsencode(names[index]) for index in order]
        ends = itertools.accumulate(map(len, encoded), initial=len(self.names))
        next(ends)  # the initial value is where the first name starts
        self.ends.extend(ends)
        self.names += b"".join(encoded)
        self.sizes.extend(sizes[index] for index in order)
        self.changed.extend(changed[index] for index in order)
        self.classes[name] = len(names)
        return order

    def index(self, folder: Path) -> PhotoIndex:
        """What was listed, in the same memory."""
        return PhotoIndex(
            folder,
            np.frombuffer(self.names, np.uint8),
            np.frombuffer(self.ends, np.int64),
            np.frombuffer(self.sizes, np.int64),
            np.frombuffer(self.changed, np.int64),
            self.classes,
        )


def _numbers() -> "array[int]":
    return array("q")  # int64


def merged(parts: Sequence[PhotoIndex], folder: Path) -> PhotoIndex:
    """The photos that several hosts share out among them, in one index.

    parts: each host's own, in the order of their numbers. A photo that two hosts have is the first
    one's. folder: of this host's.
    """
    listing = _Listing()
    owners = np.empty(0, np.int16)
    for name in sorted(set().union(*(part.classes for part in parts))):
        found: dict[str, tuple[int, int, int]] = {}  # size, change time, host
        for host, part in enumerate(parts):
            for row in part.rows_of(name):
                path = os.fsdecode(part.name(row))
                found.setdefault(path, (int(part.sizes[row]), int(part.changed[row]), host))
        sizes, changed, hosts = (array("q", column) for column in zip(*found.values(), strict=True))
        order = listing.add_class(name, list(found), sizes, changed)
        owners = np.concatenate([owners, np.array(hosts, np.int16)[order]])
    return dataclasses.replace(listing.index(folder), owners=owners)


class PhotoPaths(Sequence[Path]):
    """Some photos of an index, by their rows in it, int32 [N]."""

    def __init__(self, files: PhotoIndex, rows: NDArray[np.int32]):
        self.files = files
        self.rows = rows

    @property
    def owners(self) -> NDArray[np.int16] | None:
        """The number of the host that has each photo; None where every host has all."""
        if self.files.owners is None:
            return None
        return self.files.owners[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> "PhotoPaths": ...
    def __getitem__(self, index: int | slice) -> "Path | PhotoPaths":
        if isinstance(index, slice):
            return PhotoPaths(self.files, self.rows[index])
        row = int(self.rows[operator.index(index)])
        return self.files.folder / os.fsdecode(self.files.name(row))

    def __iter__(self) -> Iterator[Path]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (PhotoPaths, tuple, list)):
            return len(self) == len(other) and all(map(operator.eq, self, other))
        return NotImplemented

    def take(self, indices: Indices) -> "PhotoPaths":
        """The paths at the indices, in that order."""
        return PhotoPaths(self.files, self.rows[np.asarray(indices, np.int64)])

    def fingerprint(self) -> str:
        """SHA-256 of the folder and of all names, sizes and change times; reads no file."""
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.files.folder)) + b"\0")
        digest.update(self.files.names.data)
        digest.update(self.files.ends.data)
        digest.update(self.files.sizes.data)
        digest.update(self.files.changed.data)
        digest.update(np.ascontiguousarray(self.rows).data)
        return digest.hexdigest()


class Labels(Sequence[tuple[int, ...]]):
    """The labels of each photo, as tuples.

    values: int32 [N, K] for at most K labels per photo, filled up with MISSING.
    """

    def __init__(self, values: NDArray[np.int32]):
        self.values = values

    @classmethod
    def of(cls, labels: Sequence[tuple[int, ...]]) -> "Labels":
        """The same labels, from any sequence of tuples."""
        if isinstance(labels, cls):
            return labels
        most = max((len(own) for own in labels), default=1)
        values = np.full((len(labels), most), MISSING, np.int32)
        for row, own in enumerate(labels):
            values[row, : len(own)] = own
        return cls(values)

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> tuple[int, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> "Labels": ...
    def __getitem__(self, index: int | slice) -> "tuple[int, ...] | Labels":
        if isinstance(index, slice):
            return Labels(self.values[index])
        own = self.values[operator.index(index)].tolist()
        return tuple(label for label in own if label != MISSING)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Labels, tuple, list)):
            return len(self) == len(other) and all(map(operator.eq, self, other))
        return NotImplemented

    def take(self, indices: Indices) -> "Labels":
        """The labels at the indices, in that order."""
        return Labels(self.values[np.asarray(indices, np.int64)])


def index_photos(folder: Path, progress: Progress, passed: PassedBy) -> PhotoIndex:
    """The photos in a folder of class folders. `passed` receives all other files.

    OSError when a folder cannot be read, LayoutError for a class that lost all its photos.
    """
    listing = _Listing()
    for listed in class_listing(folder, folder, passed):
        names, sizes, changed = _collect(listed.photos, progress)
        if names:
            listing.add_class(listed.name, names, sizes, changed)
    return listing.index(folder)


def _collect(
    photos: Iterator[Found], progress: Progress
) -> tuple[list[str], "array[int]", "array[int]"]:
    """Names, sizes and change times of a class's photos."""
    names: list[str] = []
    sizes = _numbers()
    changed = _numbers()
    for name, status in photos:
        names.append(name)
        sizes.append(status.st_size)
        changed.append(status.st_ctime_ns)
        if len(names) % AT_ONCE == 0:
            progress.add(AT_ONCE)
    progress.add(len(names) % AT_ONCE)
    return names, sizes, changed


def fingerprint(indexed: dict[str, PhotoIndex]) -> str:
    """SHA-256 of all names and sizes in bytes, channel by channel."""
    digest = hashlib.sha256()
    for role in sorted(indexed):
        files = indexed[role]
        prefix = f"{role}/".encode()
        for start in range(0, len(files), AT_ONCE):
            rows = range(start, min(start + AT_ONCE, len(files)))
            lines = [b"%b%b\0%d\n" % (prefix, files.name(row), files.sizes[row]) for row in rows]
            digest.update(b"".join(lines))
    return digest.hexdigest()
