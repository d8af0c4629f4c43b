"""python -m bench.listing_job FOLDER RANK SIZE PORT: a measured process of bench/list_photos.py.

SIZE processes stand for those of one host. Each prints its figures as JSON, and leaves the
photos of its epochs in FOLDER's parent.
"""

import json
import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from bench.memory import memory_mb
from train.data.batches import shuffled
from train.data.channels import Channels, read_channels
from train.data.once_per_host import once_per_host
from train.distributed.context import DistributedContext
from train.learning.objective import padded
from train.learning.optimization import class_weights

SPLIT = (0.7, 0.1, 0.2)
BATCH = 256  # photos per step, over all processes
EPOCHS = (1, 2)
PATIENCE = timedelta(minutes=10)


def main() -> None:
    folder = Path(sys.argv[1])
    rank, size, port = map(int, sys.argv[2:])
    context = _context(rank, size, port)
    padded([(0,), (1,)], 2)  # its first use loads code
    context.any_process(False)  # all have loaded torch
    held_before = memory_mb("VmRSS")
    peak_before = memory_mb("VmHWM")
    own_before = memory_mb("RssAnon")  # the list lies in a file that all map
    started = time.monotonic()
    lists = 0

    def listed() -> Channels:
        nonlocal lists
        lists += 1
        return read_channels({"train": folder}, SPLIT, 0)

    channels = once_per_host(context, listed)
    seconds = time.monotonic() - started
    classes = len(channels.classes)
    # the results are held until the memory is measured
    held = [
        padded(channels.train.labels, classes),
        class_weights("balanced", channels.train.labels, classes),
        channels.train.paths.fingerprint(),
    ]
    figures = {
        "seconds": seconds,
        "all_seconds": time.monotonic() - started,
        "lists": lists,
        "photos": len(channels.train),
        "held_mb": memory_mb("VmRSS") - held_before,
        "own_mb": memory_mb("RssAnon") - own_before,
        "peak_mb": memory_mb("VmHWM") - peak_before,
    }
    del held
    for epoch in EPOCHS:
        steps = [context.share(batch, 1) for batch in order(len(channels.train), epoch, size)]
        np.save(folder.parent / f"epoch-{epoch}-{rank}.npy", np.concatenate(steps))
    print(json.dumps(figures))


def order(count: int, epoch: int, size: int) -> list[NDArray[np.int64]]:
    """The batches of an epoch, as training makes them."""
    generator = torch.Generator().manual_seed(epoch)
    return shuffled(count, BATCH, generator, 2 * size)


def _context(rank: int, size: int, port: int) -> DistributedContext:
    if size == 1:
        return DistributedContext()
    address = f"tcp://127.0.0.1:{port}"
    join = partial(dist.init_process_group, "gloo", init_method=address, timeout=PATIENCE)
    join(rank=rank, world_size=size)
    group = dist.group.WORLD
    return DistributedContext(rank, size, rank, size, group, group, hosts=(0,) * size)


if __name__ == "__main__":
    main()
