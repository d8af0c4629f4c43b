"""Equal files in several class folders are one photo with several labels."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.host.machine import cpu_count
from train.data.photo_index import AT_ONCE, MISSING, Labels, PhotoIndex, PhotoPaths
from train.progress import Progress

DIGEST_WORDS = 4  # a SHA-256 as uint64


def merge_copies(
    files: PhotoIndex, own: NDArray[np.int32], progress: Progress
) -> tuple[NDArray[np.int32], Labels]:
    """The first row of each set of equal files, int32 [M] ascending, and the labels of all copies.

    own: each file's class, int32 [N]. Only files of equal size are read. OSError from reading one.
    """
    first = _first_of_equal(files, progress)
    classes = int(own.max()) + 1
    # each (first row, class) once, sorted, as one number
    pairs = np.unique(first * classes + own)
    rows, starts, counts = np.unique(pairs // classes, return_index=True, return_counts=True)
    values = np.full((len(rows), counts.max()), MISSING, np.int32)
    row_of_pair = np.repeat(np.arange(len(rows)), counts)
    place_in_row = np.arange(len(pairs)) - np.repeat(starts, counts)
    values[row_of_pair, place_in_row] = pairs % classes
    return rows.astype(np.int32), Labels(values)


def _first_of_equal(files: PhotoIndex, progress: Progress) -> NDArray[np.int64]:
    """For each file the row of the first one with the same content, int64 [N]."""
    _, same_size, counts = np.unique(files.sizes, return_inverse=True, return_counts=True)
    rows = np.flatnonzero(counts[same_size] > 1)
    first = np.arange(len(files))
    if not len(rows):
        return first
    digests = _digests(PhotoPaths(files, rows.astype(np.int32)), progress)
    order = np.lexsort((rows, *digests.T))  # equal files side by side, the lowest row first
    begins = np.ones(len(rows), bool)  # whether another content begins there
    begins[1:] = (digests[order[1:]] != digests[order[:-1]]).any(axis=1)
    firsts = rows[order[np.flatnonzero(begins)]]
    first[rows[order]] = firsts[np.cumsum(begins) - 1]
    return first


def _digests(paths: PhotoPaths, progress: Progress) -> NDArray[np.uint64]:
    """SHA-256 of each file, uint64 [N, DIGEST_WORDS]."""
    digests = np.empty((len(paths), DIGEST_WORDS), np.uint64)
    with ThreadPoolExecutor(cpu_count(), thread_name_prefix="hash") as threads:
        for start in range(0, len(paths), AT_ONCE):
            part = list(threads.map(_sha256, paths[start : start + AT_ONCE]))
            words = np.frombuffer(b"".join(part), np.uint64)
            digests[start : start + len(part)] = words.reshape(-1, DIGEST_WORDS)
            progress.add(len(part))
    return digests


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
