"""Rows kept between epochs: in memory."""

import numpy as np

from artifact.machine import memory_limit


class Store:
    def __init__(self, rows: int, shape: tuple[int, ...], dtype):
        self.kept, self.there = np.empty((rows, *shape), dtype), np.zeros(rows, bool)

    def have(self, indices) -> np.ndarray:
        return self.there[indices]

    def read(self, indices) -> np.ndarray:
        return self.kept[indices]

    def write(self, indices, rows: np.ndarray) -> None:
        self.kept[indices] = rows
        self.there[indices] = True

    def close(self) -> None:
        pass


def open_store(kind: str, key: dict, rows: int, shape: tuple[int, ...], dtype) -> Store | None:
    size = rows * int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    return Store(rows, shape, dtype) if size <= memory_limit() * 0.25 else None
