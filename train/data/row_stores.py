"""The two stores of rows: files shared by all processes of a machine, and this process's memory.

Files are kept for later runs; memory is for rows that no disk has room for. In files each row has a
mark: a checksum and a state. The mark is written after the row's bytes, and both stay in the
kernel's page cache when the process is killed, so a kill leaves no torn row. After a crash of the
machine, pages may be missing in any order: rows from before the last boot count only when their
checksum is right. Rows are read and written by system calls, so that a failing disk is an OSError
and not a signal; only the marks are mapped into memory.
"""

import fcntl
import mmap
import os
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.data.cache import ROWS_FILE

MARKS_FILE = "marks.bin"  # checksums, uint32 [N], and after them the states, uint8 [N]
CHECKSUM_BYTES = 4  # for each row
MARK_BYTES = 5  # for each row
# states of a row
EMPTY = 0
DONE = 1
UNCERTAIN = 2  # written before this boot, its checksum not compared yet
_in_memory: "weakref.WeakSet[MemoryStore]" = weakref.WeakSet()
Indices = Sequence[int] | NDArray[np.integer[Any]]


class DiskStore:
    """Rows of one shape and type in a folder that is there already.

    Any number of threads and processes may use it at once, as long as they write the same bytes
    for a row. ValueError when a file has another size; OSError when one cannot be opened.
    """

    def __init__(self, folder: Path, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]):
        self.rows = rows
        self.shape = tuple(shape)
        self.dtype = dtype
        self._row_bytes = row_bytes(shape, dtype)
        handles: list[int] = []
        self._closing = weakref.finalize(self, _close, handles)
        handles.append(_open(folder / ROWS_FILE, rows * self._row_bytes))
        self._file = handles[-1]
        handles.append(_open(folder / MARKS_FILE, rows * MARK_BYTES))
        self._marks = handles[-1]
        fcntl.flock(self._file, fcntl.LOCK_SH)  # so that nobody removes the store
        marks = np.frombuffer(mmap.mmap(self._marks, rows * MARK_BYTES), np.uint8)
        self._checksums = marks[: rows * CHECKSUM_BYTES].view(np.uint32)
        self._states = marks[rows * CHECKSUM_BYTES :]

    def filled(self) -> int:
        """The number of rows that are filled, including those not checked yet."""
        return int(np.count_nonzero(self._states))

    def have(self, indices: Indices) -> NDArray[np.bool_]:
        """Whether each of the rows is filled, bool [N].

        IndexError for a row outside the store, OSError when the disk fails.
        """
        numbers = checked_indices(indices, self.rows)
        states = self._states[numbers]
        uncertain = numbers[states == UNCERTAIN]
        for number in uncertain.tolist():
            self._check(number)
        if len(uncertain):
            states = self._states[numbers]
        have: NDArray[np.bool_] = states == DONE
        return have

    def read(self, indices: Indices) -> NDArray[Any]:
        """A copy of the rows, [N, *shape].

        ValueError when one is not filled, OSError when the disk fails.
        """
        numbers = checked_indices(indices, self.rows)
        if not self.have(numbers).all():
            raise ValueError("not all of these rows are in the store")
        return self._read(numbers).view(self.dtype).reshape(len(numbers), *self.shape)

    def write(self, indices: Indices, values: NDArray[Any]) -> None:
        """Keep rows, [N, *shape]; a filled row stays as it is. OSError when the disk fails."""
        numbers = checked_indices(indices, self.rows)
        data = as_bytes(values, len(numbers), self.shape, self.dtype)
        missing = ~self.have(numbers)
        numbers = numbers[missing]
        data = data[missing]
        for start, end in runs(numbers):
            first = int(numbers[start])
            _write_all(self._file, data[start:end], first * self._row_bytes)
            checksums = np.array([zlib.crc32(row) for row in data[start:end]], np.uint32)
            _write_all(self._marks, checksums, first * CHECKSUM_BYTES)
            self._mark(first, bytes([DONE]) * (end - start))

    def doubt(self) -> None:
        """Have each row's checksum compared before it is read the next time.

        OSError when another machine has the store open.
        """
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
        # these arrays hold the memory map; it is freed with them
        self._checksums = np.empty(0, np.uint32)
        self._states = np.empty(0, np.uint8)

    def _check(self, number: int) -> None:
        """Decide by its checksum whether an uncertain row is filled."""
        data = self._read(np.array([number], np.int64))
        state = EMPTY
        if zlib.crc32(data.data) == self._checksums[number]:
            state = DONE
        self._mark(number, bytes([state]))

    def _read(self, numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Bytes of rows, uint8 [N, row bytes]."""
        data = np.empty((len(numbers), self._row_bytes), np.uint8)
        for start, end in runs(numbers):
            place = int(numbers[start]) * self._row_bytes
            left = data[start:end].reshape(-1).data
            while len(left):
                count = os.preadv(self._file, [left], place)
                if not count:
                    raise OSError("the store's file ends too early")
                place += count
                left = left[count:]
        return data

    def _mark(self, first: int, states: bytes) -> None:
        place = self.rows * CHECKSUM_BYTES + first
        _write_all(self._marks, np.frombuffer(states, np.uint8), place)


def _open(path: Path, size: int) -> int:
    """The handle of a file of this size. ValueError when it has another."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    found = os.fstat(handle).st_size
    if found != size:
        os.close(handle)
        raise ValueError(f"{path.name} has {found} bytes, {size} are expected")
    return handle


def _close(handles: list[int]) -> None:
    while handles:
        os.close(handles.pop())


def _write_all(handle: int, values: NDArray[Any], place: int) -> None:
    """Write an array's bytes at a place of the file, by as many system calls as it takes."""
    left = values.reshape(-1).view(np.uint8).data
    while len(left):
        count = os.pwrite(handle, left, place)
        place += count
        left = left[count:]


class MemoryStore:
    """Rows of one shape and type, lost when the process ends. It has DiskStore's methods."""

    def __init__(self, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]):
        self.rows = rows
        self.shape = tuple(shape)
        self.dtype = dtype
        self._values = np.empty((rows, *shape), dtype)
        self._filled = np.zeros(rows, bool)
        _in_memory.add(self)

    @property
    def size(self) -> int:
        """Bytes that it takes when it is full."""
        return self._values.nbytes + self._filled.nbytes

    def filled(self) -> int:
        """The number of rows that are filled."""
        return int(np.count_nonzero(self._filled))

    def have(self, indices: Indices) -> NDArray[np.bool_]:
        """Whether each of the rows is filled, bool [N]. IndexError for a row outside the store."""
        return self._filled[checked_indices(indices, self.rows)]

    def read(self, indices: Indices) -> NDArray[Any]:
        """A copy of the rows, [N, *shape]. ValueError when one is not filled."""
        if not self.have(indices).all():
            raise ValueError("not all of these rows are in the store")
        return self._values[checked_indices(indices, self.rows)]

    def write(self, indices: Indices, values: NDArray[Any]) -> None:
        """Keep rows, [N, *shape]."""
        numbers = checked_indices(indices, self.rows)
        data = as_bytes(values, len(numbers), self.shape, self.dtype)
        self._values[numbers] = data.view(self.dtype).reshape(len(numbers), *self.shape)
        self._filled[numbers] = True

    def close(self) -> None:
        """Do nothing: the memory is freed with the store."""


def memory_promised() -> int:
    """Bytes that the stores of this process take when they are full; the system sees them later."""
    return sum(store.size for store in _in_memory)


def checked_indices(indices: Indices, rows: int) -> NDArray[np.int64]:
    """The indices as int64 [N]. IndexError when one lies outside 0..rows-1."""
    numbers = np.asarray(indices, np.int64)
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= rows):
        found = f"{numbers.min()} to {numbers.max()}"
        raise IndexError(f"rows go from 0 to {rows - 1}; found {found}")
    return numbers


def row_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes of one row."""
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize


def as_bytes(
    values: NDArray[Any], count: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[np.uint8]:
    """The bytes of `count` rows, uint8 [N, row bytes]. ValueError for another shape or type."""
    if values.shape != (count, *shape) or values.dtype != dtype:
        sizes = ", ".join(map(str, shape))
        found = f"{values.dtype} {list(values.shape)}"
        raise ValueError(f"rows must be {dtype} [{count}, {sizes}]; found {found}")
    if not count:
        return np.empty((0, 1), np.uint8)
    return np.ascontiguousarray(values).reshape(count, -1).view(np.uint8)


def runs(indices: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Start and end, in the indices, of each run of rows that follow each other."""
    if not len(indices):
        return
    start = 0
    for cut in np.flatnonzero(np.diff(indices) != 1).tolist():
        yield start, cut + 1
        start = cut + 1
    yield start, len(indices)
