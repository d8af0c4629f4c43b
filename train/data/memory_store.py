"""A store in this process's memory, for rows that no disk has room for."""

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.data.store_rows import Indices, as_bytes, checked_indices

_open: "weakref.WeakSet[MemoryStore]" = weakref.WeakSet()


class MemoryStore:
    """Rows of one shape and type, lost when the process ends. It has DiskStore's methods."""

    def __init__(self, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]):
        self.rows = rows
        self.shape = tuple(shape)
        self.dtype = dtype
        self._values = np.empty((rows, *shape), dtype)
        self._filled = np.zeros(rows, bool)
        _open.add(self)

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
    return sum(store.size for store in _open)
