"""The features of a frozen backbone, computed once for each view of a photo and kept in a store.

An epoch then runs only the layers that train. A later run or trial with the same data, weights and
preprocessing computes no features at all.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.func import functional_call

from train.data.loader import Batch, Order, PixelLoader
from train.data.store import Store, open_store
from train.device import autocast, cast_weights
from train.distributed.context import DistributedContext
from train.model.split_at_frozen import SplitNetwork
from train.progress import Progress

# photos that go through the backbone at once; a CPU gains nothing from more
AT_ONCE = {"cpu": 16, "cuda": 128}
# The types of a stored row, for numpy and for torch. numpy has no bfloat16: such rows are stored as
# integers with the same bits.
STORED = {
    torch.float32: (np.float32, torch.float32),
    torch.float16: (np.float16, torch.float16),
    torch.bfloat16: (np.int16, torch.int16),
}

log = logging.getLogger(__name__)


class CachedFeatureLoader:
    """Batches of features as they cross the cut, one tensor [N, …] for each.

    Epoch e takes view (e - 1) % views of every photo: the view that PixelLoader gives in that epoch
    of 1 … views. With as many views as epochs the training is the same, only faster. views: 1 for
    photos as they are.
    """

    def __init__(
        self,
        pixels: PixelLoader,
        network: SplitNetwork,
        stores: Sequence[Store],
        views: int,
        precision: torch.dtype,
        context: DistributedContext,
    ):
        self.pixels = pixels
        self.network = network
        self.stores = stores
        self.views = views
        self.precision = precision
        self.context = context
        self.owners = pixels.owners
        self._block_size = AT_ONCE[pixels.device.type]
        self._rows = np.arange(len(pixels))  # of the photos that this host has
        if self.owners is not None:
            self._rows = np.flatnonzero(self.owners == context.host)

    def __len__(self) -> int:
        return len(self.pixels)

    def prepare(self, epoch: int, stop: Callable[[], bool]) -> bool:
        """Compute the missing features of the epoch's view; False when `stop` ended it early.

        The processes of a host share the work. A process must wait for the others before
        `batches`, which would compute what is still missing.
        """
        view = self._view(epoch)
        # always the same blocks of photos: the last bits of a photo's features may depend on the
        # photos that go through the backbone with it
        blocks = range(self.context.local_rank, self._block_count(), self.context.local_size)
        missing = [block for block in blocks if not self._have(view, self._photos_of(block)).all()]
        photos = min(len(self), len(missing) * self._block_size)
        progress = Progress(f"features of view {view + 1}", photos)
        return self._compute(view, missing, progress, stop)

    def batches(self, epoch: int, order: Order) -> Iterator[Batch]:
        """The features of each list of indices in the epoch's view, which must be prepared."""
        view = self._view(epoch)
        device = self.pixels.device
        for indices in order:
            # some may be missing where processes do not share a store
            missing = indices[~self._have(view, indices)]
            blocks = np.searchsorted(self._rows, missing) // self._block_size
            self._compute(view, np.unique(blocks).tolist())
            features = []
            for store, (_, dtype) in zip(self.stores, self.network.features, strict=True):
                rows = torch.from_numpy(store.read(view * len(self) + indices)).view(dtype)
                features.append(rows.to(device, non_blocking=True))
            yield torch.from_numpy(indices).to(device), tuple(features)

    def _have(self, view: int, indices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether every store has the photo's row of this view, bool [N]."""
        have = np.ones(len(indices), bool)
        for store in self.stores:
            have &= store.have(view * len(self) + indices)
        return have

    def _compute(
        self,
        view: int,
        blocks: Sequence[int],
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Compute and store blocks of photos, by their numbers; False when `stop` was true."""
        if not blocks:
            return not stop()
        order = [self._photos_of(block) for block in blocks]
        epoch = view + 1 if self.pixels.preset else 0
        # cast once here; autocast would cast them again for each block
        weights = cast_weights(self.network.front, self.precision)
        batches = self.pixels.batches(epoch, order)
        for indices, (_, samples) in zip(order, batches, strict=True):
            if stop():
                return False
            with torch.inference_mode(), autocast(self.pixels.device, self.precision):
                features = functional_call(self.network.front, weights, samples)
            for store, values in zip(self.stores, features, strict=True):
                store.write(view * len(self) + indices, _stored(values))
            if progress:
                progress.add(len(indices))
        return not stop()

    def _view(self, epoch: int) -> int:
        return max(0, epoch - 1) % self.views

    def _block_count(self) -> int:
        return -(-len(self._rows) // self._block_size)

    def _photos_of(self, block: int) -> NDArray[np.int64]:
        """Indices of the photos of a block."""
        start = block * self._block_size
        return self._rows[start : start + self._block_size]


def open_cached_features(
    pixels: PixelLoader,
    network: SplitNetwork,
    views: int,
    key: Mapping[str, object],
    precision: torch.dtype,
    context: DistributedContext,
) -> CachedFeatureLoader | None:
    """A loader of features that are stored under `key`, which names everything they depend on.

    None when the features would not fit into the space that stores may take.
    """
    stores = []
    for number, (shape, dtype) in enumerate(network.features):
        own = {
            **key,
            "views": views,
            "tensor": number,
            "shape": list(shape),
            "type": str(dtype),
        }
        stored, _ = STORED[dtype]
        store = open_store("features", own, views * len(pixels), shape, stored)
        if store is None:
            log.info("features: kept nowhere; every epoch runs through the frozen part, too")
            return None
        stores.append(store)
    return CachedFeatureLoader(pixels, network, stores, views, precision, context)


def _stored(values: torch.Tensor) -> NDArray[Any]:
    """The features in the type that stores hold."""
    _, dtype = STORED[values.dtype]
    return values.cpu().contiguous().view(dtype).numpy()
