"""Which GPU each worker process uses, on a machine with several.

A worker sees only its own GPU. The variable is set after the fork, and before torch is loaded.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol


class Worker(Protocol):
    """gunicorn's worker, with the name of its GPU."""

    gpu: str


class Arbiter(Protocol):
    """gunicorn's master. WORKERS: the living ones, by process number."""

    WORKERS: Mapping[int, Worker]


class GpuShares:
    """gunicorn's hooks. names: of the GPUs, as CUDA_VISIBLE_DEVICES takes them."""

    def __init__(self, names: Sequence[str]):
        self._names = names

    def before_fork(self, arbiter: Arbiter, worker: Worker) -> None:
        """Choose the GPU that the fewest living workers use."""
        living = Counter(other.gpu for other in arbiter.WORKERS.values())
        worker.gpu = min(self._names, key=lambda name: living[name])

    def after_fork(self, _: Arbiter, worker: Worker) -> None:
        os.environ["CUDA_VISIBLE_DEVICES"] = worker.gpu
