"""The processes that train together: which share of the work is this one's, and how they come to one answer.

Knows how to talk with the others, not how they were started (train/distributed/launcher.py) nor how they met (train/distributed/rendezvous.py).
"""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

if TYPE_CHECKING:
    from train.distributed.board import Watch

AGREE_EVERY_S = 1.0  # about so often do processes that step together ask each other whether to stop


@dataclass(frozen=True)
class DistributedContext:
    """This process among all of a job's (`rank` of `size`), and among those of its host (`local_rank` of `local_size`).

    control: what lies in main memory goes over it (gloo); data: what lies on the devices (NCCL, or gloo, too). Every method but
    `shard` is to be called by all processes, in the same order; alone it costs nothing.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    control: dist.ProcessGroup | None = None
    data: dist.ProcessGroup | None = None
    watch: "Watch | None" = None

    @property
    def is_main_process(self) -> bool:
        """Whether this process is the one that writes and prints for all."""
        return self.rank == 0

    def shard(self, items: Sequence) -> Sequence:
        """This process's part of what all do together: every size-th item from its rank on."""
        return items if self.size == 1 else items[self.rank :: self.size]

    def sum_across(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values, group=self.data)
        return values

    def gather(self, rows: torch.Tensor, order: Sequence[Sequence[int]]) -> torch.Tensor:
        """The rows of all processes, one for each index, in the order of the indices; `shard` dealt the lists of `order` out."""
        if self.size == 1:
            return rows
        dealt = [
            np.concatenate([np.empty(0, np.int64), *order[rank :: self.size]])
            for rank in range(self.size)
        ]
        padded = rows.new_zeros(max(map(len, dealt)), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in dealt]
        dist.all_gather(parts, padded, group=self.data)
        whole = torch.cat([part[: len(indices)] for part, indices in zip(parts, dealt)])
        return whole[torch.from_numpy(np.argsort(np.concatenate(dealt))).to(whole.device)]

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is up in any process. All have come so far when it is known: a barrier, too."""
        if self.size == 1:
            return flag
        found = torch.tensor(int(flag))
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self.control)
        return bool(found)

    def agreed_stop(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """`stop` for steps that all processes take together: it says the same at the same step in all of them.

        They ask each other about every AGREE_EVERY_S, without waiting for the device; the steps between two meetings follow from how
        many went into the last such time, and at most double.
        """
        if self.size == 1:
            return stop
        left, between, since = 0, 1, time.monotonic()

        def asked() -> bool:
            nonlocal left, between, since
            if left:
                left -= 1
                return False
            now = time.monotonic()
            pace = int(between * AGREE_EVERY_S / max(now - since, 1e-3))
            found = torch.tensor([-int(stop()), max(1, min(pace, 2 * between))])
            dist.all_reduce(found, dist.ReduceOp.MIN, group=self.control)
            between, since = int(found[1]), time.monotonic()
            left = between - 1
            return bool(found[0])

        return asked

    def broadcast_from_main(self, make: Callable[[], object]) -> object:
        """What `make` returns in the first process, which alone runs it: tensors, numbers, texts, and lists and dicts of them."""
        if self.size == 1:
            return make()
        written = io.BytesIO()
        if self.is_main_process:
            torch.save(make(), written)
        length = torch.tensor(len(written.getbuffer()))
        dist.broadcast(length, 0, group=self.control)
        content = (
            torch.frombuffer(written.getbuffer(), dtype=torch.uint8).clone()
            if self.is_main_process
            else torch.empty(int(length), dtype=torch.uint8)
        )
        dist.broadcast(content, 0, group=self.control)
        return torch.load(
            io.BytesIO(content.numpy().tobytes()), map_location="cpu", weights_only=True
        )

    def data_parallel(self, module: nn.Module) -> nn.Module:
        """The module as a step runs it: with the gradients of all processes averaged while they are made."""
        if self.size == 1:
            return module
        # buffers: only BatchNorm's change, and those are made together
        return nn.parallel.DistributedDataParallel(
            module, process_group=self.data, forward_sync_buffers=False
        )

    def wait_for_main(self) -> None:
        """Return when the first process has finished the job. PeerError when the job failed meanwhile."""
        if self.watch:
            self.watch.wait_for_main()
