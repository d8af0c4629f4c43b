"""Rows as both kinds of store take them: checked indices, bytes, and runs of neighbours."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = Sequence[int] | NDArray[np.integer[Any]]


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
