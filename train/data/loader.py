"""Batches for training steps: photos' pixels, made into views and normalised on the device.

On a GPU, a thread prepares the next batch on its own stream while this one trains. On a CPU, where
both would share the cores, only the decoding runs ahead. It knows nothing of the network.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train.data.augmentation import PRESETS, augment, numbers
from train.data.photos import PhotoArrays

RESIDENT_SHARE = 0.4  # of the GPU's free memory, for decoded photos
STEP_PIXELS = 32  # sides between the first and the last resolution are multiples of it
QUEUED = 2  # batches that the GPU's thread prepares ahead

# indices int64 [N] and the network's inputs, both on the device
Batch = tuple[torch.Tensor, tuple[torch.Tensor, ...]]
Order = Sequence[NDArray[np.int64]]  # the indices of each batch of an epoch


class PixelLoader:
    """Batches of normalised samples, float32 [N, 3, S, S] in channels_last.

    augmentation: one of PRESETS, for photos that come `stretched`; "none" takes photos as they are
    sized. side: of the views, pixels. first_side: of the views of the first epoch; the side rises
    from it to `side` over `rising` epochs. erased: share of the views that get a grey box, where it
    is not the augmentation's own.
    """

    def __init__(
        self,
        photos: PhotoArrays,
        normalize: nn.Module,
        device: torch.device,
        side: int,
        augmentation: str = "none",
        seed: int = 0,
        first_side: int = 0,
        rising: int = 0,
        erased: float = 0.0,
    ):
        self.photos = photos
        self.normalize = normalize
        self.device = device
        self.side = side
        self.preset = PRESETS.get(augmentation)
        if self.preset and erased:
            self.preset = dataclasses.replace(self.preset, erase=erased)
        self.seed = seed
        self.first_side = first_side or side
        self.rising = rising
        self._resident: _ResidentPhotos | None = None
        if device.type == "cuda":
            self._resident = _ResidentPhotos(photos, device)

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def owners(self) -> NDArray[np.int16] | None:
        """The number of the host that has each photo; None where every host has all."""
        return self.photos.owners

    def prepare(self, epoch: int, stop: Callable[[], bool]) -> bool:
        """Nothing is needed before an epoch; False when `stop` is true."""
        return not stop()

    def batches(self, epoch: int, order: Order) -> Iterator[Batch]:
        """A batch for each list of indices. PhotoError for a photo that cannot be read.

        epoch: from 1; 0 for photos as they are, without a rising side.
        """
        made = self._made(epoch, order)
        if self.device.type == "cuda":
            return _ahead(made, self.device)
        return made

    def _made(self, epoch: int, order: Order) -> Iterator[Batch]:
        chances = torch.empty(0)
        if self.preset:
            chances = numbers(len(self.photos), self.seed, epoch)
        side = self._side(epoch)
        for indices, pixels in self._pixels(order):
            wanted = torch.from_numpy(indices)
            if self.preset:
                aspects = torch.from_numpy(self.photos.aspects[indices])
                samples = augment(pixels, aspects, side, self.preset, chances[wanted])
            else:
                samples = _resized(pixels.permute(0, 3, 1, 2).float(), side)
            samples = self.normalize(samples).contiguous(memory_format=torch.channels_last)
            yield wanted.to(self.device, non_blocking=True), (samples,)

    def _pixels(self, order: Order) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        """Indices and pixels, uint8 [N, R, R, 3], of each batch."""
        if self._resident:
            yield from self._resident.batches(order)
            return
        for indices, pixels in self.photos.batches(order):
            yield indices, torch.from_numpy(pixels)

    def _side(self, epoch: int) -> int:
        """The views' side in an epoch, pixels: full again in epoch `rising` + 1."""
        if not epoch or epoch > self.rising:
            return self.side
        side = self.first_side + (self.side - self.first_side) * (epoch - 1) / self.rising
        return min(self.side, max(STEP_PIXELS, round(side / STEP_PIXELS) * STEP_PIXELS))


def _resized(samples: torch.Tensor, side: int) -> torch.Tensor:
    """float32 [N, 3, R, R] to [N, 3, side, side]."""
    if samples.shape[-1] == side:
        return samples
    return nn.functional.interpolate(
        samples, (side, side), mode="bilinear", antialias=True, align_corners=False
    )


class _ResidentPhotos:
    """Photos on a GPU: they stay there where all of them fit, else each batch is copied."""

    def __init__(self, photos: PhotoArrays, device: torch.device):
        self.photos = photos
        self.device = device
        self.kept: torch.Tensor | None = None
        shape = (len(photos), photos.side, photos.side, 3)
        free_bytes, _ = torch.cuda.mem_get_info(device)
        if torch.Size(shape).numel() <= free_bytes * RESIDENT_SHARE:
            self.kept = torch.empty(shape, dtype=torch.uint8, device=device)
        self.there = np.zeros(len(photos), bool)

    def batches(self, order: Order) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        if self.kept is not None and self._all_there(order):
            for indices in order:
                yield indices, self.kept[torch.from_numpy(indices).to(self.device)]
            return
        for indices, pixels in self.photos.batches(order):
            # pinned, so that the copy can run beside the GPU's work
            brought = torch.from_numpy(pixels).pin_memory().to(self.device, non_blocking=True)
            if self.kept is not None:
                self.kept[torch.from_numpy(indices).to(self.device)] = brought
                self.there[indices] = True
            yield indices, brought

    def _all_there(self, order: Iterable[NDArray[np.int64]]) -> bool:
        return all(self.there[indices].all() for indices in order)


def _ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches; a thread makes the next ones, on its own stream, meanwhile."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's has no types

    def make() -> tuple[Batch, torch.cuda.Event] | None:
        with torch.cuda.stream(stream):
            batch = next(batches, None)
            if batch is None:
                return None
            return batch, stream.record_event()  # type: ignore[no-untyped-call]  # torch's

    with ThreadPoolExecutor(1, thread_name_prefix="loader") as thread:
        pending = deque(thread.submit(make) for _ in range(QUEUED))
        while True:
            made = pending.popleft().result()
            if made is None:
                return
            pending.append(thread.submit(make))
            batch, ready = made
            indices, inputs = batch
            current = torch.cuda.current_stream(device)
            current.wait_event(ready)
            # the memory belongs to the other stream: do not reuse it before this one is done
            for tensor in (indices, *inputs):
                tensor.record_stream(current)
            yield batch
