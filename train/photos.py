"""Photos as arrays: decoded by threads (Pillow frees the interpreter), kept in memory when all of them fit.

No worker processes, so no shared memory: a container's /dev/shm may be as small as it likes.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from artifact.machine import cpu_count, memory_limit
from artifact.preprocessing import read_photo

CACHE_SHARE = 0.25  # of the memory this process may use


class PhotoArrays:
    """The photos of one channel as uint8 [S, S, 3] each, by index.

    sized turns an upright RGB photo into its array: Preprocessing.pixels or .stretched. keep: they are read more
    than once. `aspects` holds width / height of each photo decoded so far.
    """

    def __init__(self, paths: Sequence[Path], sized: Callable[[Image.Image], np.ndarray], side: int, keep: bool = True):
        self.paths, self.side = paths, side
        self.aspects = np.ones(len(paths), np.float32)
        self._sized = sized
        fits = keep and len(paths) * side * side * 3 <= memory_limit() * CACHE_SHARE
        self._kept = np.empty((len(paths), side, side, 3), np.uint8) if fits else None
        self._decoded = np.zeros(len(paths), bool)
        self._threads = ThreadPoolExecutor(cpu_count(), thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, order: Sequence[Sequence[int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(indices int64 [N], pixels uint8 [N, S, S, 3]) for each list of indices; the next one decodes meanwhile.

        PhotoError when a photo cannot be read.
        """
        pending: list[list[Future]] = []
        for step, indices in enumerate(order):
            if not pending:
                pending.append(self._submit(indices))
            if step + 1 < len(order):
                pending.append(self._submit(order[step + 1]))
            yield np.asarray(indices), np.stack([future.result() for future in pending.pop(0)])

    def _submit(self, indices: Sequence[int]) -> list[Future]:
        return [self._threads.submit(self._array, int(index)) for index in indices]

    def _array(self, index: int) -> np.ndarray:
        if self._decoded[index]:
            return self._kept[index]
        photo = read_photo(self.paths[index])
        self.aspects[index] = photo.width / photo.height
        pixels = self._sized(photo)
        if self._kept is not None:
            self._kept[index] = pixels
            self._decoded[index] = True
        return pixels


def in_order(count: int, size: int) -> list[np.ndarray]:
    """Indices 0..count-1 in batches of `size`."""
    return [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
