"""Batches of any size through a few fixed ones, the buckets: the smallest that holds it runs it.

Each bucket runs a model on one fixed block of memory: `Eager` calls the model, `Graph` replays
CUDA's recording of it. The backends `CpuBackend` and `CudaBackend` choose between the two and know
how to wait. Loads torch; knows nothing of artifacts.
"""

import collections
import contextlib
import gc
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

WARM_RUNS = 3  # cuDNN tries its kernels in the first; allocations have settled in the last

log = logging.getLogger(__name__)
# CUDA records one graph at a time per process: a second recording would wait for the whole device.
_recording = threading.Lock()
# Streams of closed engines, by device: cuBLAS keeps tens of megabytes for each stream it ran on.
_idle_streams: dict[tuple[object, torch.device], list[torch.cuda.Stream]] = collections.defaultdict(
    list
)

Model = Callable[[torch.Tensor], torch.Tensor]
Cuda = Any  # the module torch.cuda, or a stand-in on machines without a GPU


class NoRecording(RuntimeError):
    """CUDA cannot record the model: it waits for the GPU, or works on the CPU, between kernels."""


def bucket_sizes(max_batch: int) -> tuple[int, ...]:
    """Batch sizes, ascending: they double up to max_batch, 1 or more, which is the last.

    So at most half of a bucket is padding.
    """
    doubling = (2**power for power in range((max_batch - 1).bit_length()))
    return (*doubling, max_batch)


class Eager:
    """A bucket that calls the model."""

    def __init__(self, model: Model, pixels: torch.Tensor):
        self._model = model
        self._pixels = pixels
        model(pixels)

    def __call__(self) -> torch.Tensor:
        return self._model(self._pixels)

    def close(self) -> None:
        """Let go of the model; the bucket cannot be called again."""
        del self._model
        del self._pixels


class Graph:
    """A bucket that replays the model's kernels, recorded once: Python launches none of them.

    Made and called with `stream` as the current one. The graphs of all buckets share one pool of
    memory, so an answer holds only until any of them runs again. Raises NoRecording, and
    torch.OutOfMemoryError.
    """

    def __init__(
        self,
        model: Model,
        pixels: torch.Tensor,
        stream: "torch.cuda.Stream",
        pool: tuple[int, int],
        cuda: Cuda = torch.cuda,
    ):
        for _ in range(WARM_RUNS):
            model(pixels)
        stream.synchronize()
        self._graph = cuda.CUDAGraph()
        try:
            # thread_local: other threads answer for other models meanwhile, and may allocate
            with cuda.graph(
                self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"
            ):
                self._answers = model(pixels)
        except RuntimeError as error:
            # a recording without memory must end, too, and the error of that end hides the cause
            if _is_out_of_memory(error) or _is_out_of_memory(error.__context__):
                raise torch.OutOfMemoryError("while a graph was recorded") from error
            raise NoRecording(str(error).strip().partition("\n")[0]) from error

    def __call__(self) -> torch.Tensor:
        self._graph.replay()
        return self._answers

    def close(self) -> None:
        """Give the recording's memory back; the bucket cannot be called again."""
        del self._answers
        self._graph.reset()


def _is_out_of_memory(error: BaseException | None) -> bool:
    return isinstance(error, torch.OutOfMemoryError)


class CpuBackend:
    """Buckets on the CPU: plain calls."""

    pinned = False
    device = torch.device("cpu")

    def bucket(self, model: Model, pixels: torch.Tensor) -> Eager:
        return Eager(model, pixels)

    def working(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def wait(self) -> None:
        """Nothing to wait for: a call returns with its answer."""

    def release(self) -> None:
        """Nothing to do: freed memory goes back by itself."""

    def close(self) -> None:
        """Nothing to give back."""


class CudaBackend:
    """Buckets on a GPU: graphs on a stream of their own.

    After the first model that cannot be recorded: plain calls. cuda: torch.cuda, or a stand-in.
    """

    pinned = True  # memory that the GPU copies from without the CPU's help

    def __init__(self, device: torch.device, cuda: Cuda = torch.cuda):
        self.device = device
        self._cuda = cuda
        self._idle = _idle_streams[cuda, device]
        try:
            self._stream = self._idle.pop()
        except IndexError:
            self._stream = cuda.Stream(device)
        # the weights may still be on their way
        self._stream.wait_stream(cuda.current_stream(device))
        # waiting for a blocking event sleeps; other waits keep a core busy that could decode photos
        self._done = cuda.Event(blocking=True)
        self._pool = cuda.graph_pool_handle()
        self._recordable = True

    def bucket(self, model: Model, pixels: torch.Tensor) -> Graph | Eager:
        if self._recordable:
            try:
                with _recording:
                    return Graph(model, pixels, self._stream, self._pool, self._cuda)
            except NoRecording as error:
                log.warning(
                    "the network runs without CUDA graphs, since it cannot be recorded (%s)", error
                )
                self._recordable = False
        return Eager(model, pixels)

    def working(self) -> contextlib.AbstractContextManager[object]:
        """While this lasts, kernels go to the backend's stream."""
        stream: contextlib.AbstractContextManager[object] = self._cuda.stream(self._stream)
        return stream

    def wait(self) -> None:
        self._done.record(self._stream)
        self._done.synchronize()

    def release(self) -> None:
        with _recording:
            self._cuda.empty_cache()

    def close(self) -> None:
        self.release()
        self._idle.append(self._stream)


class BatchBuckets:
    """A model's buckets with their buffers. For one thread at a time, in inference mode.

    model: uint8 [n, H, W, 3] to float32 [n, classes], both on the backend's device; no answer may
    depend on its neighbours. shape: (H, W, 3). sizes: ascending, see bucket_sizes.
    """

    def __init__(
        self,
        model: Model,
        shape: tuple[int, int, int],
        sizes: Sequence[int],
        backend: CpuBackend | CudaBackend,
    ):
        """Make and warm the buckets, from the largest that fits into memory to the smallest.

        The smaller ones use the largest one's pool of memory. Raises torch.OutOfMemoryError when
        even the smallest does not fit.
        """
        self._backend = backend
        self._buckets: dict[int, Eager | Graph] = {}
        try:
            with backend.working():
                pixels = (sizes[-1], *shape)
                self._pixels = torch.zeros(pixels, dtype=torch.uint8, device=backend.device)
                self._make_buckets(model, sizes)
                classes = self._buckets[self.sizes[0]]().shape[1]
                backend.wait()
            # the CPU's ends of the copies: pixels in, answers out
            staged = (self.sizes[-1], *shape)
            answers = (self.sizes[-1], classes)
            self._staged = torch.zeros(staged, dtype=torch.uint8, pin_memory=backend.pinned)
            self._answers = torch.zeros(answers, dtype=torch.float32, pin_memory=backend.pinned)
        except BaseException:
            self.close()
            raise

    @property
    def sizes(self) -> tuple[int, ...]:
        """The buckets' sizes, ascending."""
        return tuple(self._buckets)

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [N, classes] of uint8 [N, H, W, 3], N from 1 to the largest size."""
        count = len(pixels)
        size = next(size for size in self._buckets if size >= count)
        np.copyto(self._staged.numpy()[:count], pixels)
        with self._backend.working():
            self._pixels[:count].copy_(self._staged[:count], non_blocking=True)
            self._pixels[count:size].zero_()
            self._answers[:count].copy_(self._buckets[size]()[:count], non_blocking=True)
            self._backend.wait()
        answers: NDArray[np.float32] = self._answers.numpy()[:count].copy()
        return answers

    def close(self) -> None:
        """Give back the memory of model, recordings and buffers. `run` must not follow."""
        for bucket in self._buckets.values():
            bucket.close()
        self._buckets = {}
        for name in ("_staged", "_answers", "_pixels"):
            self.__dict__.pop(name, None)  # not there when making the buckets has failed
        gc.collect()  # a traced network and its graph refer to each other
        self._backend.close()

    def _make_buckets(self, model: Model, sizes: Sequence[int]) -> None:
        """Fill _buckets, the largest first. Called while the backend works."""
        for size in reversed(sizes):
            try:
                self._buckets[size] = self._backend.bucket(model, self._pixels[:size])
            except torch.OutOfMemoryError:
                if size == sizes[0]:
                    raise
                log.warning("batches of %d do not fit into the GPU's free memory", size)
                self._backend.release()
        self._buckets = dict(sorted(self._buckets.items()))
