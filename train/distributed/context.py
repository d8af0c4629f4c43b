"""The processes that train together: this one's shard of the work, and how all come to one answer.

Knows how to exchange values with the others. Does not know how they were started (launcher.py)
nor how they met (rendezvous.py).
"""

import io
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import nn

from train.distributed.board import Watch

Indices = npt.NDArray[np.int64]
Owners = npt.NDArray[np.int16] | None
Made = TypeVar("Made")

# Processes that step together ask each other about this often whether to stop.
AGREE_EVERY_S = 1.0


@dataclass(frozen=True)
class DistributedContext:
    """This process among all of a job's (`rank` of `size`) and of its host's (`local_rank`).

    control: the group for values in main memory (gloo). data: the group for values on the devices
    (NCCL, or gloo on processors). Every method but `share` and `deal` must be called by all
    processes in the same order. With one process they cost nothing.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    control: dist.ProcessGroup | None = None
    data: dist.ProcessGroup | None = None
    watch: Watch | None = None
    hosts: tuple[int, ...] = ()  # the number of each process's host; empty: all are on one

    @property
    def is_main_process(self) -> bool:
        """Whether this process writes and prints for all."""
        return self.rank == 0

    @property
    def host(self) -> int:
        """The number of this process's host."""
        return self._host_of(self.rank)

    def _host_of(self, rank: int) -> int:
        return self.hosts[rank] if self.hosts else 0

    def share(self, photos: Indices, together: int, owners: Owners = None) -> Indices:
        """This process's part of a step's photos, of which groups of neighbours stay together.

        owners: the host that has each photo of the channel; None where every host has all.
        """
        rank = self.rank
        size = self.size
        if owners is not None:
            photos = photos[owners[photos] == self.host]
            rank, size = self._place(self.rank)
        if size == 1:
            return photos
        group = np.arange(len(photos)) // together
        own: Indices = photos[group % size == rank]
        return own

    def deal(self, batches: list[Indices], owners: Owners = None) -> list[list[Indices]]:
        """Each process's part of batches that all know, in the order of the processes.

        owners: as for `share`. Then the photos of each host come in batches of their own.
        """
        if owners is None:
            return [batches[rank :: self.size] for rank in range(self.size)]
        every = np.concatenate([np.empty(0, np.int64), *batches])
        largest = max(map(len, batches), default=1)
        dealt = []
        for rank in range(self.size):
            own = every[owners[every] == self._host_of(rank)]
            parts = [own[start : start + largest] for start in range(0, len(own), largest)]
            place, count = self._place(rank)
            dealt.append(parts[place::count])
        return dealt

    def _place(self, rank: int) -> tuple[int, int]:
        """A process's place among those of its host, and how many they are."""
        host = self._host_of(rank)
        there = [other for other in range(self.size) if self._host_of(other) == host]
        return there.index(rank), len(there)

    def sum_across(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes."""
        if self.size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values, group=self.data)
        return values

    def gather(self, rows: torch.Tensor, parts: Sequence[Sequence[Indices]]) -> torch.Tensor:
        """The rows of all processes, ordered by index: [N, ...] from this process's [n, ...].

        parts: each process's batches of indices, as `deal` gave them.
        """
        if self.size == 1:
            return rows
        # one leading empty array: a process may have no batch at all
        none = np.empty(0, np.int64)
        dealt = [np.concatenate([none, *part]) for part in parts]
        # all_gather takes tensors of one size
        padded = rows.new_zeros(max(map(len, dealt)), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in dealt]
        dist.all_gather(found, padded, group=self.data)
        filled = [part[: len(own)] for part, own in zip(found, dealt, strict=True)]
        positions = torch.from_numpy(np.argsort(np.concatenate(dealt)))
        return torch.cat(filled)[positions.to(rows.device)]

    def any_process(self, flag: bool) -> bool:
        """Whether the flag is up in any process. A barrier, too: it returns once all have asked."""
        if self.size == 1:
            return flag
        found = torch.tensor(int(flag))
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self.control)
        return bool(found)

    def agreed_stop(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """`stop` for steps that all processes take together: all get the same answer at a step.

        They ask each other about every AGREE_EVERY_S, without waiting for the device.
        """
        if self.size == 1:
            return stop
        return _AgreedStop(stop, self.control)

    def broadcast_from_main(self, make: Callable[[], Made]) -> Made:
        """The value that `make` returns in the main process, which alone runs it.

        It may hold tensors, numbers and texts, and lists and dicts of them.
        """
        if self.size == 1:
            return make()
        written = io.BytesIO()
        if self.is_main_process:
            torch.save(make(), written)
        length = torch.tensor(len(written.getbuffer()))
        dist.broadcast(length, 0, group=self.control)
        content = torch.empty(int(length), dtype=torch.uint8)
        if self.is_main_process:
            content = torch.frombuffer(written.getbuffer(), dtype=torch.uint8).clone()
        dist.broadcast(content, 0, group=self.control)
        archive = io.BytesIO(content.numpy().tobytes())
        value: Made = torch.load(archive, map_location="cpu", weights_only=True)
        return value

    def data_parallel(self, module: nn.Module) -> nn.Module:
        """The module whose backward pass averages the gradients of all processes."""
        if self.size == 1:
            return module
        # Only BatchNorm changes buffers, and SharedBatchNorm keeps those equal.
        parallel = nn.parallel.DistributedDataParallel(module, process_group=self.data)
        # Not as an argument: the main process's buffers are sent to the others once, here above.
        parallel.broadcast_buffers = False
        return parallel

    def averaging(self, module: nn.Module, ends: bool) -> AbstractContextManager[None]:
        """For a forward and backward pass of `data_parallel`'s module.

        ends: the pass ends a step. Before that the gradients are summed in each process alone, and
        averaged over the processes once.
        """
        if self.size == 1 or ends:
            return nullcontext()
        own: AbstractContextManager[None] = module.no_sync()  # type: ignore[operator]  # DDP's
        return own

    def wait_for_main(self) -> None:
        """Return when the main process has finished the job. PeerError when the job failed."""
        if self.watch:
            self.watch.wait_for_main()


ALONE = DistributedContext()


class _AgreedStop:
    """Asks the other processes at some steps only.

    How many steps pass until the next question follows from the pace of the last ones. The number
    at most doubles from question to question, and all processes take the lowest.
    """

    def __init__(self, stop: Callable[[], bool], group: dist.ProcessGroup | None) -> None:
        self._stop = stop
        self._group = group
        self._interval = 1  # steps from question to question
        self._left = 0  # steps until the next one
        self._asked_at = time.monotonic()

    def __call__(self) -> bool:
        if self._left:
            self._left -= 1
            return False
        passed_s = max(time.monotonic() - self._asked_at, 1e-3)
        pace = int(self._interval * AGREE_EVERY_S / passed_s)
        wanted = max(1, min(pace, 2 * self._interval))
        # one exchange for both: the lowest of -1 means that somebody stops
        answers = torch.tensor([-int(self._stop()), wanted])
        dist.all_reduce(answers, dist.ReduceOp.MIN, group=self._group)
        self._interval = int(answers[1])
        self._left = self._interval - 1
        self._asked_at = time.monotonic()
        return bool(answers[0])
