"""Rows of one size, computed once and kept: for all processes of a machine at once, and for later runs.

A row counts as there only after its bytes are. Guaranteed: a process killed at any moment leaves no torn row, as what it wrote
stays in the kernel's page cache and the mark is written last. After a crash of the machine pages may be missing in any order:
rows written before the last boot are therefore taken for there only when their checksum is right.
Rows are read and written by system calls, so that a failing disk is an OSError and not a signal; only the marks are mapped.
"""

import fcntl
import hashlib
import json
import logging
import mmap
import os
import uuid
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from artifact.machine import memory_left, memory_limit
from artifact.model import write_atomically
from train.data.cache import (
    MB,
    META_FILE,
    ROWS_FILE,
    UNFINISHED,
    CacheLimits,
    locked,
    make_room,
    remove,
    user_folder,
)

FORMAT = 1
MARKS_FILE = "marks.bin"  # checksums, uint32 [N], and after them the states, uint8 [N]
EMPTY, DONE, UNCERTAIN = 0, 1, 2  # uncertain: written before this boot
CHECKSUM_BYTES, MARK_BYTES = 4, 5

log = logging.getLogger(__name__)
_in_memory: "weakref.WeakSet[MemoryStore]" = (
    weakref.WeakSet()
)  # their memory is not taken before they fill


def open_store(
    kind: str,
    key: dict,
    rows: int,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    limits: CacheLimits = CacheLimits(),
) -> "DiskStore | MemoryStore | None":
    """The store of `rows` rows of `shape` and `dtype`: found again, or made; one log line says what it uses.

    kind: a word for people. key: all that the rows depend on, for JSON. In memory, for this process alone, where the disk has
    no room or nothing can be written; None when it does not fit there either, or may not.
    """
    dtype = np.dtype(dtype)
    size = rows * (int(np.prod(shape, dtype=np.int64)) * dtype.itemsize + MARK_BYTES)
    if not rows:
        return MemoryStore(rows, shape, dtype)
    identity = json.loads(
        json.dumps(
            {
                "format": FORMAT,
                "kind": kind,
                "key": key,
                "rows": rows,
                "shape": shape,
                "dtype": np.lib.format.dtype_to_descr(dtype),
            }
        )
    )
    name = f"{kind}-{hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(',', ':')).encode()).hexdigest()[:32]}"
    try:
        root = user_folder(limits)
        with locked(root):
            store = _find(root / name, identity, shape, dtype)
            reason = None if store else make_room(root, size, limits)
            if not store and not reason:
                store = _make(root / name, identity, shape, dtype)
    except OSError as error:
        store, reason = None, f"{error.strerror or error}" if error.errno else str(error)
    if store:
        log.info(
            "store: %s, %d of %d rows are there, %.0f MB, in '%s'",
            name,
            store.there(),
            rows,
            size / MB,
            root,
        )
        return store
    if limits.memory and size <= min(
        memory_limit() * limits.memory_share - sum(store.size for store in _in_memory),
        memory_left(),
    ):
        log.info(
            "store: %s, %d rows, %.0f MB, in memory, for this run alone: %s",
            kind,
            rows,
            size / MB,
            reason,
        )
        return MemoryStore(rows, shape, dtype)
    log.info("store: none for %s, %d rows, %.0f MB: %s", kind, rows, size / MB, reason)
    return None


def _find(
    folder: Path, identity: dict, shape: tuple[int, ...], dtype: np.dtype
) -> "DiskStore | None":
    """The store in a folder if it is whole; a damaged one is removed. OSError when another machine has it open."""
    if not os.path.lexists(folder):
        return None
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        if not isinstance(meta, dict) or meta.get("identity") != identity:
            raise ValueError("it is of something else")
        store = DiskStore(folder, identity["rows"], shape, dtype)
    except (ValueError, OSError) as error:
        log.warning("store: %s is damaged (%s); it is made anew", folder.name, error)
        remove(folder)
        return None
    boot = _boot_id()
    if meta.get("boot") != boot:
        store.doubt()
        _write_meta(folder, identity, boot)
    os.utime(folder / META_FILE)
    return store


def _make(folder: Path, identity: dict, shape: tuple[int, ...], dtype: np.dtype) -> "DiskStore":
    """A new store with all its blocks reserved; it takes its name when it is whole. OSError when the disk is full."""
    unfinished = folder.with_name(f"{UNFINISHED}-{folder.name}")
    unfinished.mkdir(mode=0o700)
    try:
        row_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        for name, size in (
            (ROWS_FILE, identity["rows"] * row_bytes),
            (MARKS_FILE, identity["rows"] * MARK_BYTES),
        ):
            handle = os.open(
                unfinished / name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            try:
                os.posix_fallocate(handle, 0, size)
            finally:
                os.close(handle)
        _write_meta(unfinished, identity, _boot_id())
        unfinished.rename(folder)
    except BaseException:
        remove(unfinished)
        raise
    return DiskStore(folder, identity["rows"], shape, dtype)


def _write_meta(folder: Path, identity: dict, boot: str) -> None:
    write_atomically(
        folder / META_FILE,
        (json.dumps({"identity": identity, "boot": boot}, indent=2) + "\n").encode(),
    )


def _boot_id() -> str:
    """What changes when the machine starts."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex  # unknown: every opening doubts all rows


class DiskStore:
    """Rows in a file, open to any number of threads and processes that write the same bytes; see open_store."""

    def __init__(self, folder: Path, rows: int, shape: tuple[int, ...], dtype: np.dtype):
        self.rows, self.shape, self.dtype = rows, tuple(shape), dtype
        self._row_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        handles: list[int] = []
        self._closing = weakref.finalize(self, _close, handles)
        for name, size in ((ROWS_FILE, rows * self._row_bytes), (MARKS_FILE, rows * MARK_BYTES)):
            handles.append(os.open(folder / name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW))
            if (found := os.fstat(handles[-1]).st_size) != size:
                raise ValueError(f"{name} has {found} bytes, {size} are expected")
        self._file, self._marks = handles
        fcntl.flock(self._file, fcntl.LOCK_SH)
        marks = np.frombuffer(mmap.mmap(self._marks, rows * MARK_BYTES), np.uint8)
        self._checksums, self._states = (
            marks[: rows * CHECKSUM_BYTES].view(np.uint32),
            marks[rows * CHECKSUM_BYTES :],
        )

    def there(self) -> int:
        """How many rows are there, those not yet checked among them."""
        return int(np.count_nonzero(self._states))

    def have(self, indices: Sequence[int]) -> np.ndarray:
        """Which of the rows are there, bool [N]. IndexError for a row that cannot be. OSError when the disk fails."""
        indices = _checked(indices, self.rows)
        states = self._states[indices]
        if (states == UNCERTAIN).any():
            for index in indices[states == UNCERTAIN]:
                whole = zlib.crc32(self._read(indices=index[None])) == self._checksums[index]
                self._mark(int(index), bytes([DONE if whole else EMPTY]))
            states = self._states[indices]
        return states == DONE

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """A copy of the rows, [N, *shape]. ValueError when one is not there, OSError when the disk fails."""
        indices = _checked(indices, self.rows)
        if not self.have(indices).all():
            raise ValueError("not all of these rows are in the store")
        return self._read(indices).view(self.dtype).reshape(len(indices), *self.shape)

    def write(self, indices: Sequence[int], values: np.ndarray) -> None:
        """Keep rows, [N, *shape]; one that is there already stays as it is. OSError when the disk fails."""
        indices = _checked(indices, self.rows)
        data = _as_rows(values, len(indices), self.shape, self.dtype)
        missing = ~self.have(indices)
        indices, data = indices[missing], data[missing]
        for start, end in _runs(indices):
            first = int(indices[start])
            _write_all(self._file, data[start:end], first * self._row_bytes)
            checksums = np.array([zlib.crc32(row) for row in data[start:end]], np.uint32)
            _write_all(self._marks, checksums, first * CHECKSUM_BYTES)
            self._mark(first, bytes([DONE]) * (end - start))

    def doubt(self) -> None:
        """Check each row before it is read the next time. OSError when another machine has the store open."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError("another machine has the store open") from error
        states = np.where(self._states == EMPTY, EMPTY, UNCERTAIN).astype(np.uint8)
        self._mark(0, states.tobytes())
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let others remove the store. No thread may use it any more."""
        self._closing()
        self._checksums = self._states = np.empty(0, np.uint8)  # the map goes with them

    def _read(self, indices: np.ndarray) -> np.ndarray:
        """Bytes of rows, uint8 [N, row bytes]."""
        data = np.empty((len(indices), self._row_bytes), np.uint8)
        for start, end in _runs(indices):
            place, left = int(indices[start]) * self._row_bytes, data[start:end].reshape(-1)
            while len(left):
                count = os.preadv(self._file, [left], place)
                if not count:
                    raise OSError("the store's file ends too early")
                place, left = place + count, left[count:]
        return data

    def _mark(self, first: int, states: bytes) -> None:
        _write_all(self._marks, np.frombuffer(states, np.uint8), self.rows * CHECKSUM_BYTES + first)


class MemoryStore:
    """The same in memory, for this process alone."""

    def __init__(self, rows: int, shape: tuple[int, ...], dtype: np.dtype):
        self.rows, self.shape, self.dtype = rows, tuple(shape), dtype
        self._values = np.empty((rows, *shape), dtype)
        self._there = np.zeros(rows, bool)
        _in_memory.add(self)

    @property
    def size(self) -> int:
        """Bytes that it takes when it is full."""
        return self._values.nbytes + self._there.nbytes

    def there(self) -> int:
        return int(np.count_nonzero(self._there))

    def have(self, indices: Sequence[int]) -> np.ndarray:
        return self._there[_checked(indices, self.rows)]

    def read(self, indices: Sequence[int]) -> np.ndarray:
        if not self.have(indices).all():
            raise ValueError("not all of these rows are in the store")
        return self._values[_checked(indices, self.rows)]

    def write(self, indices: Sequence[int], values: np.ndarray) -> None:
        indices = _checked(indices, self.rows)
        self._values[indices] = (
            _as_rows(values, len(indices), self.shape, self.dtype)
            .view(self.dtype)
            .reshape(len(indices), *self.shape)
        )
        self._there[indices] = True

    def close(self) -> None:
        """Nothing: the memory goes with the store."""


Store = DiskStore | MemoryStore


def _close(handles: list[int]) -> None:
    while handles:
        os.close(handles.pop())


def _checked(indices: Sequence[int], rows: int) -> np.ndarray:
    indices = np.asarray(indices, np.int64)
    if len(indices) and (indices.min() < 0 or indices.max() >= rows):
        raise IndexError(f"rows go from 0 to {rows - 1}; found {indices.min()} to {indices.max()}")
    return indices


def _as_rows(values: np.ndarray, count: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The bytes of rows, uint8 [N, row bytes]. ValueError when they are of another shape or type."""
    if values.shape != (count, *shape) or values.dtype != dtype:
        raise ValueError(
            f"rows must be {dtype} [{count}, {', '.join(map(str, shape))}]; found {values.dtype} {list(values.shape)}"
        )
    return (
        np.ascontiguousarray(values).reshape(count, -1).view(np.uint8)
        if count
        else np.empty((0, 1), np.uint8)
    )


def _runs(indices: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where in the indices runs of rows that follow each other start and end."""
    cuts = np.flatnonzero(np.diff(indices) != 1) + 1
    return zip([0, *cuts.tolist()] if len(indices) else [], [*cuts.tolist(), len(indices)])


def _write_all(handle: int, values: np.ndarray, place: int) -> None:
    left = values.reshape(-1).view(np.uint8)
    while len(left):
        count = os.pwrite(handle, left, place)
        place, left = place + count, left[count:]
