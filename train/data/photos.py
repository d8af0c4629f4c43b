"""Photos as arrays, decoded by threads (Pillow frees the interpreter) and kept in a store.

There are no worker processes, so no shared memory: a container's /dev/shm may have any size.
"""

import dataclasses
import hashlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from artifact.host.machine import cpu_count, memory_limit
from artifact.photos import colour, preprocessing, shrinking
from artifact.photos.decoder import DECODER, read_reduced
from artifact.photos.preprocessing import Preprocessing
from artifact.photos.shrinking import Reduced
from train.data.cache import DEFAULT_LIMITS, CacheLimits
from train.data.photo_index import PhotoPaths
from train.data.row_stores import Indices
from train.data.store import Store, open_store

AHEAD = 3  # batches that are prepared while one is used
AHEAD_SHARE = 0.05  # of the memory this process may use, for the batches ahead of the next one
# the smaller of the two bounds the decoded photos that wait for a slow disk
WAITING_SHARE = 0.02  # of the memory this process may use
WAITING_BYTES = 256 << 20
ROWS_AT_ONCE = 32  # stored photos that one task reads

PROGRAM = (preprocessing, colour, shrinking)  # what the pixels of a photo depend on
Sizing = Callable[[Reduced], NDArray[np.uint8]]

log = logging.getLogger(__name__)


class PhotoArrays:
    """The photos of one channel as uint8 [S, S, 3] each, by index.

    sized turns an upright RGB photo into its array: Preprocessing.pixels or .stretched. keep: the
    photos are read more than once in this run; otherwise they are kept on disk only, for the next
    run. limits: of the store that keeps them; None for no store. working: entered around each
    decoding, by the thread that does it. `aspects` holds width / height of each photo that a batch
    has had so far. `key` identifies these arrays among all others; None when no key can.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        sized: Sizing,
        side: int,
        keep: bool = True,
        limits: CacheLimits | None = DEFAULT_LIMITS,
        working: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        self.paths = paths
        self.side = side
        self.aspects = np.ones(len(paths), np.float32)
        self._sized = sized
        settings = getattr(sized, "__self__", None)
        self._smallest = settings.resize if isinstance(settings, Preprocessing) else 0
        self._working = working
        self._row = np.dtype([("aspect", "<f4"), ("pixels", "u1", (side, side, 3))])
        self.key = _key(paths, sized)
        self._store = _open(self.key, len(paths), self._row, keep, limits)
        self._threads = ThreadPoolExecutor(cpu_count(), thread_name_prefix="decode")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="keep")
        waiting_bytes = int(min(memory_limit() * WAITING_SHARE, WAITING_BYTES))
        self._may_wait = threading.Semaphore(max(1, waiting_bytes // self._row.itemsize))

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def owners(self) -> NDArray[np.int16] | None:
        """The number of the host that has each photo; None where every host has all."""
        if isinstance(self.paths, PhotoPaths):
            return self.paths.owners
        return None

    def batches(
        self, order: Iterable[Indices]
    ) -> Generator[tuple[NDArray[np.int64], NDArray[np.uint8]], None, None]:
        """(indices int64 [N], pixels uint8 [N, S, S, 3]) for each list of indices.

        The next few batches are prepared meanwhile. PhotoError when a photo cannot be read.
        """
        lists = iter(order)
        ahead: deque[_Batch] = deque()
        try:
            while True:
                self._begin_more(ahead, lists)
                if not ahead:
                    break
                batch = ahead[0]
                for future in batch.parts:
                    future.result()
                ahead.popleft()
                yield batch.indices, batch.pixels
            # wait until all photos before it are written, so that the next pass finds them
            self._writer.submit(bool).result()
        finally:  # also when the caller wants no more batches
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

    def _begin_more(self, ahead: "deque[_Batch]", lists: Iterator[Indices]) -> None:
        """Begin the next batches, as many as AHEAD and the memory for them allow."""
        room = memory_limit() * AHEAD_SHARE
        while len(ahead) <= AHEAD:
            taken = sum(batch.pixels.nbytes for batch in ahead)
            if len(ahead) >= 2 and taken >= room:  # the one in use and the next always may be there
                return
            indices = next(lists, None)
            if indices is None:
                return
            ahead.append(self._begin(np.asarray(indices, np.int64)))

    def _begin(self, indices: NDArray[np.int64]) -> "_Batch":
        """Give a batch to the threads: a task has rows of stored photos, or one other photo."""
        batch = _Batch(indices, self.side)
        there = self._in_store(indices)
        kept = np.flatnonzero(there)
        missing = np.flatnonzero(~there)
        for start in range(0, len(kept), ROWS_AT_ONCE):
            places = kept[start : start + ROWS_AT_ONCE]
            batch.parts.append(self._threads.submit(self._fetch, batch, places))
        for place in missing.tolist():
            batch.parts.append(self._threads.submit(self._decode, batch, place))
        return batch

    # The methods below hold `store` in a name of their own: another thread may set self._store
    # to None at any time.

    def _in_store(self, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        store = self._store
        if store is None:
            return np.zeros(len(indices), bool)
        try:
            return store.have(indices)
        except OSError as error:
            self._do_without(error)
            return np.zeros(len(indices), bool)

    def _fetch(self, batch: "_Batch", places: NDArray[np.int64]) -> None:
        """Read photos from the store, or decode them where it fails."""
        store = self._store
        rows = None
        try:
            if store:
                rows = store.read(batch.indices[places])
        except (OSError, ValueError) as error:
            self._do_without(error)
        if rows is None:
            for place in places.tolist():
                self._decode(batch, place)
            return
        batch.pixels[places] = rows["pixels"]
        self.aspects[batch.indices[places]] = rows["aspect"]

    def _decode(self, batch: "_Batch", place: int) -> None:
        index = int(batch.indices[place])
        with self._working():
            photo = read_reduced(self.paths[index], self._smallest)
            width, height = photo.size
            self.aspects[index] = width / height
            batch.pixels[place] = self._sized(photo)
        if self._store:
            self._keep(index, batch.pixels[place])

    def _keep(self, index: int, pixels: NDArray[np.uint8]) -> None:
        """Have a photo written, unless too many wait: a slow disk must not slow training."""
        if self._may_wait.acquire(blocking=False):
            row = np.empty(1, self._row)
            row["aspect"] = self.aspects[index]
            row["pixels"] = pixels
            self._writer.submit(self._write, index, row)

    def _write(self, index: int, row: NDArray[Any]) -> None:
        store = self._store
        try:
            if store:
                store.write([index], row)
        except OSError as error:
            self._do_without(error)
        finally:
            self._may_wait.release()

    def _do_without(self, error: Exception) -> None:
        """Drop the store: it only makes a training faster, so its failure must not end one."""
        if self._store:
            log.warning("store: the decoded photos are not kept any more (%s)", error)
            self._store = None


class _Batch:
    """A batch that threads work on; it is complete when all `parts` are done."""

    def __init__(self, indices: NDArray[np.int64], side: int):
        self.indices = indices
        self.pixels = np.empty((len(indices), side, side, 3), np.uint8)
        self.parts: list[Future[None]] = []


def _open(
    key: dict[str, object] | None,
    rows: int,
    row: np.dtype[Any],
    keep: bool,
    limits: CacheLimits | None,
) -> Store | None:
    if limits is None or key is None:
        return None
    if not keep:
        limits = dataclasses.replace(limits, memory=False)
    return open_store("photos", key, rows, (), row, limits)


def _key(paths: Sequence[Path], sized: Sizing) -> dict[str, object] | None:
    """Everything that the arrays depend on; None for foreign sizing or a missing file."""
    sizing = _sizing(sized)
    if sizing is None:
        return None
    try:
        return {"files": _fingerprint(paths), **sizing}
    except OSError:  # becomes a PhotoError when a batch needs that photo
        return None


def _sizing(sized: Sizing) -> dict[str, object] | None:
    """Settings and versions of the code that decodes and sizes; None when it is not ours."""
    settings = getattr(sized, "__self__", None)
    if not isinstance(settings, Preprocessing) or sized.__name__ not in ("pixels", "stretched"):
        return None
    crop = settings.crop if sized.__name__ == "pixels" else None
    program = b"".join(Path(module.__file__ or "").read_bytes() for module in PROGRAM)
    return {
        "decoder": DECODER,
        "sizing": sized.__name__,
        "resize": settings.resize,
        "crop": crop,
        "interpolation": settings.interpolation,
        "pillow": PIL.__version__,
        "program": hashlib.sha256(program).hexdigest(),
    }


def _fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 of the photos' names, sizes and change times. OSError when a file is not there."""
    if isinstance(paths, PhotoPaths):
        return paths.fingerprint()
    digest = hashlib.sha256()
    for path in paths:
        status = os.stat(path)
        digest.update(os.fsencode(os.path.realpath(path)))
        digest.update(b"\0%d %d\n" % (status.st_size, status.st_ctime_ns))
    return digest.hexdigest()


def in_order(count: int, size: int) -> list[NDArray[np.int64]]:
    """Indices 0..count-1 in batches of `size`."""
    every = np.arange(count)
    return [every[start : start + size] for start in range(0, count, size)]
