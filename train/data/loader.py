"""What a step takes, batch by batch: photos' pixels, made into views and normalised on the device.

On a GPU the next batch is prepared by a thread on a stream of its own while this one trains; on a processor, where both
would share the cores, only the decoding runs ahead. Knows nothing of what the network does with it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from train.data.augmentation import PRESETS, augment, numbers
from train.data.photos import PhotoArrays

RESIDENT_SHARE = 0.4  # of the GPU's free memory, for decoded photos
STEP_PIXELS = 32  # sides between the first and the last resolution are multiples of it

Batch = tuple[
    torch.Tensor, tuple[torch.Tensor, ...]
]  # indices int64 [N] and the network's inputs, on the device


class PixelLoader:
    """Batches of normalised samples, float32 [N, 3, S, S] in channels_last.

    augmentation: one of PRESETS, whose photos come `stretched`; "none" takes them as they are sized. side: of the views,
    pixels. first_side: of those of the first epoch, from which it rises to `side` over `rising` epochs.
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
    ):
        self.photos, self.normalize, self.device, self.side = photos, normalize, device, side
        self.preset, self.seed = PRESETS.get(augmentation), seed
        self.first_side, self.rising = first_side or side, rising
        self._resident = _Resident(photos, device) if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.photos)

    def prepare(self, epoch: int, stop: Callable[[], bool]) -> bool:
        """Make what an epoch needs; False when `stop` said so before that was done."""
        return not stop()

    def batches(self, epoch: int, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        """The batches of an epoch (from 1; 0 for photos as they are), for each list of indices. PhotoError for an unreadable photo."""
        made = self._made(epoch, order)
        return _ahead(made, self.device) if self.device.type == "cuda" else made

    def _made(self, epoch: int, order: Sequence[np.ndarray]) -> Iterator[Batch]:
        chances = numbers(len(self.photos), self.seed, epoch) if self.preset else None
        side = self._side(epoch)
        source = self._resident or self.photos
        for indices, pixels in source.batches(order):
            wanted = torch.from_numpy(indices)
            pixels = pixels if isinstance(pixels, torch.Tensor) else torch.from_numpy(pixels)
            if self.preset:
                samples = augment(
                    pixels,
                    torch.from_numpy(self.photos.aspects[indices]),
                    side,
                    self.preset,
                    chances[wanted],
                )
            else:
                samples = pixels.permute(0, 3, 1, 2).float()
                if side != self.side:
                    samples = nn.functional.interpolate(
                        samples, (side, side), mode="bilinear", antialias=True, align_corners=False
                    )
            samples = self.normalize(samples).contiguous(memory_format=torch.channels_last)
            yield wanted.to(self.device, non_blocking=True), (samples,)

    def _side(self, epoch: int) -> int:
        if not epoch or epoch > self.rising:
            return self.side
        side = self.first_side + (self.side - self.first_side) * (epoch - 1) / self.rising
        return min(self.side, max(STEP_PIXELS, round(side / STEP_PIXELS) * STEP_PIXELS))


class _Resident:
    """Photos on a GPU: kept there once decoded, where all of them fit into its memory; else brought batch by batch."""

    def __init__(self, photos: PhotoArrays, device: torch.device):
        self.photos, self.device = photos, device
        shape = (len(photos), photos.side, photos.side, 3)
        fits = torch.Size(shape).numel() <= torch.cuda.mem_get_info(device)[0] * RESIDENT_SHARE
        self.kept = torch.empty(shape, dtype=torch.uint8, device=device) if fits else None
        self.there = np.zeros(len(photos), bool)

    def batches(self, order: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        if self.kept is not None and all(self.there[indices].all() for indices in order):
            for indices in order:
                yield indices, self.kept[torch.from_numpy(indices).to(self.device)]
            return
        for indices, pixels in self.photos.batches(order):
            brought = torch.from_numpy(pixels).pin_memory().to(self.device, non_blocking=True)
            if self.kept is not None:
                self.kept[torch.from_numpy(indices).to(self.device)] = brought
                self.there[indices] = True
            yield indices, brought


def _ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches, the next one made in a thread on a stream of its own while the caller works with this one."""
    stream = torch.cuda.Stream(device)
    done = object()

    def make() -> tuple | object:
        with torch.cuda.stream(stream):
            batch = next(batches, done)
            return batch if batch is done else (batch, stream.record_event())

    with ThreadPoolExecutor(1, thread_name_prefix="loader") as thread:
        pending = deque(thread.submit(make) for _ in range(2))
        while (made := pending.popleft().result()) is not done:
            pending.append(thread.submit(make))
            (indices, inputs), ready = made
            current = torch.cuda.current_stream(device)
            current.wait_event(ready)
            for tensor in (indices, *inputs):
                tensor.record_stream(current)
            yield indices, inputs
