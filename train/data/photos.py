"""Photos as arrays: decoded by threads (Pillow frees the interpreter), and kept for the next time when there is room.

No worker processes, so no shared memory: a container's /dev/shm may be as small as it likes.
"""

import dataclasses
import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from artifact import preprocessing
from artifact.machine import cpu_count, memory_limit
from artifact.preprocessing import Preprocessing, read_photo
from train.data.photo_index import PhotoPaths
from train.data.store import CacheLimits, Store, open_store

AHEAD = 3  # batches that are prepared while one is used
AHEAD_SHARE = 0.05  # of the memory this process may use: what they may take, but for one
WAITING_SHARE, WAITING_BYTES = (
    0.02,
    256 << 20,
)  # at most either: what decoded photos may take that wait for a slow disk
ROWS_AT_ONCE = 32  # kept photos that a thread reads

log = logging.getLogger(__name__)


class PhotoArrays:
    """The photos of one channel as uint8 [S, S, 3] each, by index.

    sized turns an upright RGB photo into its array: Preprocessing.pixels or .stretched. keep: they are read more than once in
    this run; else they are kept on disk only, for the next run. limits: of the store that keeps them, None for no store at
    all. `aspects` holds width / height of each photo that a batch has brought so far; `key` tells these arrays from all others,
    None where that cannot be told. working: entered around each decoding, by the thread that does it.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        sized: Callable[[Image.Image], np.ndarray],
        side: int,
        keep: bool = True,
        limits: CacheLimits | None = CacheLimits(),
        working: Callable[[], AbstractContextManager] = nullcontext,
    ):
        self.paths, self.side = paths, side
        self.aspects = np.ones(len(paths), np.float32)
        self._sized, self._working = sized, working
        self._row = np.dtype([("aspect", "<f4"), ("pixels", "u1", (side, side, 3))])
        self.key = _key(paths, sized)
        self._store = _open(self.key, len(paths), self._row, keep, limits)
        self._threads = ThreadPoolExecutor(cpu_count(), thread_name_prefix="decode")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="keep")
        self._may_wait = threading.Semaphore(
            max(1, int(min(memory_limit() * WAITING_SHARE, WAITING_BYTES)) // self._row.itemsize)
        )

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, order: Iterable[Sequence[int]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(indices int64 [N], pixels uint8 [N, S, S, 3]) for each list of indices; the next few are prepared meanwhile.

        PhotoError when a photo cannot be read.
        """
        order, room = iter(order), memory_limit() * AHEAD_SHARE
        ahead: deque[_Batch] = deque()
        try:
            while True:
                while len(ahead) <= AHEAD and (
                    len(ahead) < 2 or sum(batch.pixels.nbytes for batch in ahead) < room
                ):
                    indices = next(order, None)
                    if indices is None:
                        break
                    ahead.append(self._begin(np.asarray(indices, np.int64)))
                if not ahead:
                    self._writer.submit(
                        bool
                    ).result()  # all before it is written, so the next pass finds it
                    return
                batch = ahead[0]
                for future in batch.parts:
                    future.result()
                ahead.popleft()
                yield batch.indices, batch.pixels
        finally:  # also when the caller wants no more of them
            for batch in ahead:
                for future in batch.parts:
                    future.cancel()

    def close(self) -> None:
        """Let go of the store, once no batch is under way."""
        self._threads.shutdown(cancel_futures=True)
        self._writer.shutdown()
        if self._store:
            self._store.close()
            self._store = None

    def _begin(self, indices: np.ndarray) -> "_Batch":
        """Set threads to work on a batch: some rows each where they are kept, one photo each where not."""
        batch = _Batch(indices, self.side)
        there = self._in_store(indices)
        kept, missing = np.flatnonzero(there), np.flatnonzero(~there)
        for start in range(0, len(kept), ROWS_AT_ONCE):
            batch.parts.append(
                self._threads.submit(self._fetch, batch, kept[start : start + ROWS_AT_ONCE])
            )
        for place in missing.tolist():
            batch.parts.append(self._threads.submit(self._decode, batch, place))
        return batch

    def _in_store(self, indices: np.ndarray) -> np.ndarray:
        store = self._store
        try:
            return store.have(indices) if store else np.zeros(len(indices), bool)
        except OSError as error:
            self._do_without(error)
            return np.zeros(len(indices), bool)

    def _fetch(self, batch: "_Batch", places: np.ndarray) -> None:
        store = self._store
        try:
            rows = store.read(batch.indices[places]) if store else None
        except (OSError, ValueError) as error:
            self._do_without(error)
            rows = None
        if rows is None:
            for place in places.tolist():
                self._decode(batch, place)
            return
        batch.pixels[places] = rows["pixels"]
        self.aspects[batch.indices[places]] = rows["aspect"]

    def _decode(self, batch: "_Batch", place: int) -> None:
        index, store = int(batch.indices[place]), self._store
        with self._working():
            photo = read_photo(self.paths[index])
            self.aspects[index] = photo.width / photo.height
            batch.pixels[place] = self._sized(photo)
        if store:
            self._keep(index, batch.pixels[place])

    def _keep(self, index: int, pixels: np.ndarray) -> None:
        """Have a photo written; one that finds too many waiting is not kept this time, so that no disk is too slow to train."""
        if self._may_wait.acquire(blocking=False):
            row = np.empty(1, self._row)
            row["aspect"], row["pixels"] = self.aspects[index], pixels
            self._writer.submit(self._write, index, row)

    def _write(self, index: int, row: np.ndarray) -> None:
        store = self._store
        try:
            if store:
                store.write([index], row)
        except OSError as error:
            self._do_without(error)
        finally:
            self._may_wait.release()

    def _do_without(self, error: Exception) -> None:
        """A training must not end because what only makes it faster has failed."""
        if self._store:
            log.warning("store: the decoded photos are not kept any more (%s)", error)
            self._store = None


class _Batch:
    """A batch under way: `parts` fill its pixels."""

    def __init__(self, indices: np.ndarray, side: int):
        self.indices, self.pixels = indices, np.empty((len(indices), side, side, 3), np.uint8)
        self.parts: list[Future] = []


def _open(
    key: dict | None, rows: int, row: np.dtype, keep: bool, limits: CacheLimits | None
) -> Store | None:
    if limits is None or key is None:
        return None
    return open_store(
        "photos", key, rows, (), row, limits if keep else dataclasses.replace(limits, memory=False)
    )


def _key(paths: Sequence[Path], sized: Callable[[Image.Image], np.ndarray]) -> dict | None:
    """What tells photos sized so from others; None where code of another's sizes them, which no key can name."""
    sizing = _sizing(sized)
    try:
        return sizing and {"files": _fingerprint(paths), **sizing}
    except OSError:  # told as a PhotoError, should that photo be asked for
        return None


def _sizing(sized: Callable[[Image.Image], np.ndarray]) -> dict | None:
    """All that the pixels of a file depend on: the settings, and the programs that decode and size. None for foreign code."""
    settings = getattr(sized, "__self__", None)
    if not isinstance(settings, Preprocessing) or sized.__name__ not in ("pixels", "stretched"):
        return None
    return {
        "sizing": sized.__name__,
        "resize": settings.resize,
        "crop": settings.crop if sized.__name__ == "pixels" else None,
        "interpolation": settings.interpolation,
        "pillow": PIL.__version__,
        "program": hashlib.sha256(Path(preprocessing.__file__).read_bytes()).hexdigest(),
    }


def _fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 of the photos' names, sizes and times of change. OSError when one cannot be looked at."""
    if isinstance(paths, PhotoPaths):
        return paths.fingerprint()
    digest = hashlib.sha256()
    for path in paths:
        status = os.stat(path)
        digest.update(
            os.fsencode(os.path.realpath(path))
            + b"\0%d %d\n" % (status.st_size, status.st_ctime_ns)
        )
    return digest.hexdigest()


def in_order(count: int, size: int) -> list[np.ndarray]:
    """Indices 0..count-1 in batches of `size`."""
    every = np.arange(count)
    return [every[start : start + size] for start in range(0, count, size)]
