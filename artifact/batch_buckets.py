"""Batches of any size through a few fixed ones, the buckets's steps: a batch runs in the smallest step that holds it.

Each step runs a model on one fixed place in memory: `Eager` calls the model, `Graph` replays what CUDA recorded of it.
Which of them, and how to wait, is all that `CpuBackend` and `CudaBackend` differ in. Loads torch; knows nothing of artifacts.
"""

import collections
import contextlib
import gc
import logging
import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch

WARM_RUNS = 3  # cuDNN tries its kernels in the first; allocations have settled in the last

log = logging.getLogger(__name__)
# CUDA records one graph at a time in a process: another thread's start of a recording waits for the whole device
_recording = threading.Lock()
# by device, streams of closed engines: cuBLAS keeps tens of megabytes for every stream that it ever ran on
_idle_streams: dict[tuple, list] = collections.defaultdict(list)

Model = Callable[[torch.Tensor], torch.Tensor]


class NoRecording(RuntimeError):
    """A model that CUDA cannot record: it waits for the GPU, or works on the CPU, between its kernels."""


def bucket_sizes(max_batch: int) -> tuple[int, ...]:
    """Batch sizes, ascending, doubling up to max_batch, 1 or more, which is the last: half of a step at most is padding."""
    return (*(2**power for power in range((max_batch - 1).bit_length())), max_batch)


class Eager:
    """A step that calls the model."""

    def __init__(self, model: Model, pixels: torch.Tensor):
        self._model, self._pixels = model, pixels
        model(pixels)

    def __call__(self) -> torch.Tensor:
        return self._model(self._pixels)

    def close(self) -> None:
        self._model = self._pixels = None


class Graph:
    """A step that replays the model's kernels, recorded once: nothing is launched one by one from Python.

    Made and called with `stream` as the current one. The graphs of a buckets share one pool of memory, so an answer holds
    only until any of them runs again. Raises NoRecording, and torch.OutOfMemoryError.
    """

    def __init__(
        self,
        model: Model,
        pixels: torch.Tensor,
        stream: "torch.cuda.Stream",
        pool: tuple[int, int],
        cuda=torch.cuda,
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
            # a recording that memory runs out in must end too, and the error of that end hides the cause
            if isinstance(error, torch.OutOfMemoryError) or isinstance(
                error.__context__, torch.OutOfMemoryError
            ):
                raise torch.OutOfMemoryError("while a graph was recorded") from error
            raise NoRecording(str(error).strip().partition("\n")[0]) from error

    def __call__(self) -> torch.Tensor:
        self._graph.replay()
        return self._answers

    def close(self) -> None:
        self._answers = None
        self._graph.reset()


class CpuBackend:
    """Steps on the CPU: plain calls."""

    pinned = False
    device = torch.device("cpu")

    def bucket(self, model: Model, pixels: torch.Tensor) -> Eager:
        return Eager(model, pixels)

    def working(self) -> contextlib.AbstractContextManager:
        return contextlib.nullcontext()

    def wait(self) -> None:
        """Nothing to wait for: a call comes back when its answer is there."""

    def release(self) -> None:
        """Nothing to do: freed memory goes back by itself."""

    def close(self) -> None:
        """Nothing to give back."""


class CudaBackend:
    """Steps on a GPU: graphs on a stream of their own; plain calls from the first model on that cannot be recorded."""

    pinned = True

    def __init__(self, device: torch.device, cuda=torch.cuda):
        self.device, self._cuda = device, cuda
        self._idle = _idle_streams[cuda, device]
        try:
            self._stream = self._idle.pop()
        except IndexError:
            self._stream = cuda.Stream(device)
        self._stream.wait_stream(
            cuda.current_stream(device)
        )  # the weights may still be on their way
        # waiting for a blocking event sleeps; any other wait keeps a core busy that could decode photos
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

    def working(self) -> contextlib.AbstractContextManager:
        return self._cuda.stream(self._stream)

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
    """A model's steps with their buffers. For one thread at a time, in inference mode.

    model: uint8 [n, H, W, 3] to float32 [n, classes], both on the place's device, no answer depending on its neighbours.
    shape: (H, W, 3). sizes: ascending, see bucket_sizes.
    """

    def __init__(
        self,
        model: Model,
        shape: tuple[int, int, int],
        sizes: Sequence[int],
        backend: CpuBackend | CudaBackend,
    ):
        """Make the steps, each warmed, down from the largest that fits into memory, whose pool then serves the smaller.

        torch.OutOfMemoryError when even the first step does not fit.
        """
        self._backend = backend
        self._buckets: dict[int, Eager | Graph] = {}
        self._staged = self._answers = self._pixels = None
        try:
            classes = self._make_buckets(model, shape, sizes)
            self._staged = torch.zeros(
                (self.sizes[-1], *shape), dtype=torch.uint8, pin_memory=backend.pinned
            )
            self._answers = torch.zeros(
                (self.sizes[-1], classes), dtype=torch.float32, pin_memory=backend.pinned
            )
        except BaseException:
            self.close()
            raise

    @property
    def sizes(self) -> tuple[int, ...]:
        """The steps there are, ascending."""
        return tuple(self._buckets)

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """float32 [N, classes] of uint8 [N, H, W, 3], N from 1 to the last step."""
        count = len(pixels)
        size = next(size for size in self._buckets if size >= count)
        np.copyto(self._staged.numpy()[:count], pixels)
        with self._backend.working():
            self._pixels[:count].copy_(self._staged[:count], non_blocking=True)
            self._pixels[count:size].zero_()
            self._answers[:count].copy_(self._buckets[size]()[:count], non_blocking=True)
            self._backend.wait()
        return self._answers.numpy()[:count].copy()

    def close(self) -> None:
        """Give back the memory of the model, the recordings and the buffers; the buckets cannot run again."""
        for bucket in self._buckets.values():
            bucket.close()
        self._buckets = {}
        self._staged = self._answers = self._pixels = None
        gc.collect()  # a traced network and its graph refer to each other
        self._backend.close()

    def _make_buckets(self, model: Model, shape: tuple[int, int, int], sizes: Sequence[int]) -> int:
        """Make the steps, the largest first; the model's number of classes."""
        with self._backend.working():
            self._pixels = torch.zeros(
                (sizes[-1], *shape), dtype=torch.uint8, device=self._backend.device
            )
            for size in reversed(sizes):
                try:
                    self._buckets[size] = self._backend.bucket(model, self._pixels[:size])
                except torch.OutOfMemoryError:
                    if size == sizes[0]:
                        raise
                    log.warning("batches of %d do not fit into the GPU's free memory", size)
                    self._backend.release()
            self._buckets = dict(sorted(self._buckets.items()))
            classes = self._buckets[self.sizes[0]]().shape[1]
            self._backend.wait()
            return classes
