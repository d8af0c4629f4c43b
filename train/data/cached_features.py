"""The features of a frozen backbone, computed once for each view of a photo and kept: an epoch then trains only what learns.

Kept in train/data/store.py's files, so that a second run, or trial, on the same data, weights and preprocessing computes none.
"""

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.func import functional_call

from train.data.loader import Batch, PixelLoader
from train.data.store import Store, open_store
from train.distributed.context import DistributedContext
from train.model.device import autocast, cast_weights
from train.model.split_at_frozen import SplitNetwork
from train.progress import Progress

AT_ONCE = {
    "cpu": 16,
    "cuda": 128,
}  # photos through the backbone; a processor gains nothing from more
# numpy knows no bfloat16: such rows are kept as the integers of their bits
STORED = {
    torch.float32: (np.float32, torch.float32),
    torch.float16: (np.float16, torch.float16),
    torch.bfloat16: (np.int16, torch.int16),
}

log = logging.getLogger(__name__)


class CachedFeatureLoader:
    """Batches of features as they cross the cut, one tensor [N, …] each.

    Epoch e takes view (e - 1) % views of every photo, which is the view that PixelLoader gives in epoch 1 … views: with as
    many views as epochs nothing but the time differs. views: 1 for photos as they are.
    """

    def __init__(
        self,
        pixels: PixelLoader,
        cut: SplitNetwork,
        stores: Sequence[Store],
        views: int,
        precision: torch.dtype,
        context: DistributedContext,
    ):
        self.pixels, self.cut, self.stores, self.views, self.precision, self.context = (
            pixels,
            cut,
            stores,
            views,
            precision,
            context,
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def prepare(self, epoch: int, stop: Callable[[], bool]) -> bool:
        """Compute this process's share of its host's features of the epoch's view that are not kept yet; False when `stop` said
        so before that was done. Others must be waited for before `batches`, which computes what is missing then."""
        size, view = AT_ONCE[self.pixels.device.type], self._view(epoch)
        # whole blocks of photos, always the same: the last bits of a photo's features may follow from its company
        own = np.arange(self.context.local_rank, -(-len(self) // size), self.context.local_size)
        missing = [
            block
            for block in own
            if not self._have(
                view, np.arange(block * size, min(len(self), (block + 1) * size))
            ).all()
        ]
        return self._compute(
            view,
            missing,
            Progress(f"features of view {view + 1}", min(len(self), len(missing) * size)),
            stop,
        )

    def batches(self, epoch: int, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        """The features of each list of indices in the epoch's view, which must have been prepared."""
        view = self._view(epoch)
        first = view * len(self)
        for indices in order:
            missing = indices[
                ~self._have(view, indices)
            ]  # where processes do not share what they keep
            self._compute(view, np.unique(missing // AT_ONCE[self.pixels.device.type]))
            rows = tuple(torch.from_numpy(store.read(first + indices)) for store in self.stores)
            yield (
                torch.from_numpy(indices).to(self.pixels.device),
                tuple(
                    row.view(dtype).to(self.pixels.device, non_blocking=True)
                    for row, (_, dtype) in zip(rows, self.cut.features)
                ),
            )

    def _have(self, view: int, indices: np.ndarray) -> np.ndarray:
        return np.logical_and.reduce(
            [store.have(view * len(self) + indices) for store in self.stores]
        )

    def _compute(
        self,
        view: int,
        blocks: Sequence[int],
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Compute and keep blocks of photos, by their numbers."""
        size = AT_ONCE[self.pixels.device.type]
        order = [np.arange(block * size, min(len(self), (block + 1) * size)) for block in blocks]
        weights = (
            cast_weights(self.cut.front, self.precision) if order else {}
        )  # once, where autocast would do so for each block
        for indices, (_, samples) in zip(
            order, self.pixels.batches(view + 1 if self.pixels.preset else 0, order)
        ):
            if stop():
                return False
            with torch.inference_mode(), autocast(self.pixels.device, self.precision):
                features = functional_call(self.cut.front, weights, samples)
            for store, values in zip(self.stores, features):
                store.write(view * len(self) + indices, _bits(values))
            if progress:
                progress.add(len(indices))
        return not stop()

    def _view(self, epoch: int) -> int:
        return max(0, epoch - 1) % self.views


def open_cached_features(
    pixels: PixelLoader,
    cut: SplitNetwork,
    views: int,
    key: dict,
    precision: torch.dtype,
    context: DistributedContext,
) -> CachedFeatureLoader | None:
    """A feed of features, kept under `key`: all that they follow from. None where they would not fit the disk's share."""
    stores = []
    for number, (shape, dtype) in enumerate(cut.features):
        own = key | {"views": views, "tensor": number, "shape": list(shape), "type": str(dtype)}
        store = open_store("features", own, views * len(pixels), shape, STORED[dtype][0])
        if store is None:
            log.info("features: kept nowhere; every epoch runs through the frozen part, too")
            return None
        stores.append(store)
    return CachedFeatureLoader(pixels, cut, stores, views, precision, context)


def _bits(values: torch.Tensor) -> np.ndarray:
    return values.cpu().contiguous().view(STORED[values.dtype][1]).numpy()
