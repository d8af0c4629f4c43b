"""Lists of photos and of their labels that take some tens of bytes a photo: a million of them is no burden.

Names are kept as bytes in one buffer, sizes, times and labels in arrays; a Path is made when one is asked for.
"""

import hashlib
import itertools
import operator
import os
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from artifact.machine import cpu_count
from train.progress import Progress

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
MISSING = -1  # stands in Labels where a photo has fewer than the most
AT_ONCE = 4096  # files hashed, or names joined, at a time


@dataclass
class PhotoIndex:
    """The photos of a folder by class, sorted: each class's in the order of their paths.

    names: relative to the folder, one after the other, ends[i] where the i-th stops; sizes in bytes; changed: ctime in ns,
    which no program can set. classes: class name to number of photos, in order; folders without photos are no class.
    """

    folder: Path
    names: bytearray = field(default_factory=bytearray)
    ends: array = field(default_factory=lambda: array("q"))
    sizes: array = field(default_factory=lambda: array("q"))
    changed: array = field(default_factory=lambda: array("q"))
    classes: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ends)

    def name(self, row: int) -> bytes:
        return bytes(self.names[self.ends[row - 1] if row else 0 : self.ends[row]])

    def class_indices(self, classes: Sequence[str]) -> np.ndarray:
        """The class of each photo, as an index into `classes`: int32 [N]."""
        index_of = {name: index for index, name in enumerate(classes)}
        return np.repeat(
            np.array([index_of[name] for name in self.classes], np.int32),
            list(self.classes.values()),
        )


class PhotoPaths(Sequence[Path]):
    """Some of a folder's files, by their rows (int32 [N]) in its list; slices and `take` give PhotoPaths again."""

    def __init__(self, files: PhotoIndex, rows: np.ndarray):
        self.files, self.rows = files, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | slice) -> "Path | PhotoPaths":
        if isinstance(index, slice):
            return PhotoPaths(self.files, self.rows[index])
        return self.files.folder / os.fsdecode(
            self.files.name(int(self.rows[operator.index(index)]))
        )

    def __iter__(self) -> Iterator[Path]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (PhotoPaths, tuple, list)):
            return len(self) == len(other) and all(map(operator.eq, self, other))
        return NotImplemented

    def take(self, indices: Sequence[int]) -> "PhotoPaths":
        """Those at the indices, in that order."""
        return PhotoPaths(self.files, self.rows[np.asarray(indices, np.int64)])

    def fingerprint(self) -> str:
        """SHA-256 that changes with the folder, and with any name, size or time of change in it; no file is touched."""
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.files.folder)) + b"\0")
        for part in (
            self.files.names,
            self.files.ends,
            self.files.sizes,
            self.files.changed,
            np.ascontiguousarray(self.rows),
        ):
            digest.update(part)
        return digest.hexdigest()


class Labels(Sequence[tuple[int, ...]]):
    """The labels of each photo, as tuples; kept in `values`, int32 [N, K], with MISSING where a photo has fewer than K."""

    def __init__(self, values: np.ndarray):
        self.values = values

    @classmethod
    def of(cls, labels: Sequence[tuple[int, ...]]) -> "Labels":
        """The same labels, from any sequence of tuples."""
        if isinstance(labels, cls):
            return labels
        most = max((len(own) for own in labels), default=1)
        return cls(
            np.array([[*own, *[MISSING] * (most - len(own))] for own in labels], np.int32).reshape(
                len(labels), most
            )
        )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int | slice) -> "tuple[int, ...] | Labels":
        if isinstance(index, slice):
            return Labels(self.values[index])
        return tuple(
            label for label in self.values[operator.index(index)].tolist() if label != MISSING
        )

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (Labels, tuple, list)):
            return len(self) == len(other) and all(map(operator.eq, self, other))
        return NotImplemented

    def take(self, indices: Sequence[int]) -> "Labels":
        """Those at the indices, in that order."""
        return Labels(self.values[np.asarray(indices, np.int64)])


def index_photos(folder: Path, progress: Progress) -> PhotoIndex:
    """The photos in a folder of class folders, found with one look at each file. OSError where it cannot be read."""
    files = PhotoIndex(folder)
    with os.scandir(folder) as entries:
        inside = sorted(
            (entry.name, entry.path)
            for entry in entries
            if not entry.name.startswith(".") and _is_folder(entry)
        )
    for name, path in inside:
        names, sizes, changed = _photos_below(path, f"{name}/", progress)
        if names:
            # as Path sorts: part by part, not "a-b.jpg" before "a/b.jpg"
            keys = [name.replace("/", "\0") for name in names]
            order = sorted(range(len(names)), key=keys.__getitem__)
            encoded = [os.fsencode(names[index]) for index in order]
            start = len(files.names)
            files.names += b"".join(encoded)
            files.ends.extend(
                itertools.islice(itertools.accumulate(map(len, encoded), initial=start), 1, None)
            )
            files.sizes.extend(map(sizes.__getitem__, order))
            files.changed.extend(map(changed.__getitem__, order))
            files.classes[name] = len(names)
    return files


def _photos_below(folder: str, below: str, progress: Progress) -> tuple[list[str], array, array]:
    """Names (`below` before each), sizes and change times of the photos in a folder and the folders in it, links followed."""
    names, sizes, changed = [], array("q"), array("q")
    waiting = [(folder, below)]
    while waiting:
        folder, below = waiting.pop()
        known = len(names)
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if _is_folder(entry):
                    waiting.append((entry.path, f"{below}{name}/"))
                elif name[name.rfind(".") :].lower() in PHOTO_SUFFIXES and not name.startswith("."):
                    status = entry.stat()
                    names.append(below + name)
                    sizes.append(status.st_size)
                    changed.append(status.st_ctime_ns)
                    if len(names) - known == AT_ONCE:
                        progress.add(AT_ONCE)
                        known = len(names)
        progress.add(len(names) - known)
    return names, sizes, changed


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def fingerprint(listed: dict[str, PhotoIndex]) -> str:
    """SHA-256 of all names and sizes in bytes, channel by channel."""
    digest = hashlib.sha256()
    for role in sorted(listed):
        files, prefix = listed[role], f"{role}/".encode()
        for start in range(0, len(files), AT_ONCE):
            rows = range(start, min(start + AT_ONCE, len(files)))
            digest.update(
                b"".join(
                    b"%b%b\0%d\n" % (prefix, files.name(row), files.sizes[row]) for row in rows
                )
            )
    return digest.hexdigest()


def merge_copies(
    files: PhotoIndex, own: np.ndarray, progress: Progress
) -> tuple[np.ndarray, Labels]:
    """Equal files as one photo: the rows of the first of each, int32 [M] ascending, and the labels of all its copies.

    own: each file's class, int32 [N]. Only files of equal size are read. OSError when one cannot be.
    """
    first, classes = _first_of_equal(files, progress), int(own.max()) + 1
    pairs = np.unique(first * classes + own)
    rows, starts, counts = np.unique(pairs // classes, return_index=True, return_counts=True)
    values = np.full((len(rows), counts.max()), MISSING, np.int32)
    values[
        np.repeat(np.arange(len(rows)), counts), np.arange(len(pairs)) - np.repeat(starts, counts)
    ] = pairs % classes
    return rows.astype(np.int32), Labels(values)


def _first_of_equal(files: PhotoIndex, progress: Progress) -> np.ndarray:
    """For each file the row of the first with the same content, int64 [N]."""
    _, same_size, counts = np.unique(
        np.frombuffer(files.sizes, np.int64), return_inverse=True, return_counts=True
    )
    rows = np.flatnonzero(counts[same_size] > 1)
    digests = np.empty((len(rows), 4), np.uint64)
    paths = PhotoPaths(files, rows)
    with ThreadPoolExecutor(cpu_count(), thread_name_prefix="hash") as threads:
        for start in range(0, len(rows), AT_ONCE):
            part = list(threads.map(_sha256, paths[start : start + AT_ONCE]))
            digests[start : start + len(part)] = np.frombuffer(b"".join(part), np.uint64).reshape(
                -1, 4
            )
            progress.add(len(part))
    order = np.lexsort((rows, *digests.T))  # equal ones side by side, the first row of them first
    new = np.ones(len(rows), bool)
    new[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    first = np.arange(len(files))
    if len(rows):
        first[rows[order]] = rows[order[np.flatnonzero(new)]][np.cumsum(new) - 1]
    return first


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
