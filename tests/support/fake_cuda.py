"""A stand-in for the module torch.cuda on a CPU: streams, events and graphs.

A recorded model runs again on the same memory, and its answers appear at the same place. Calls that
the real module would refuse are refused.
"""

import contextlib
import inspect

import torch

SUMS = 2


def sums(pixels: torch.Tensor) -> torch.Tensor:
    """Of each photo the sum of its samples and that of its first row, float32 [n, SUMS]."""
    return torch.stack(
        [pixels.float().sum(dim=(1, 2, 3)), pixels[:, 0].float().sum(dim=(1, 2))], dim=1
    )


class FakeCuda:
    """memory: photos that fit at the same time.

    hides_cause: a recording without memory ends in another error.
    """

    def __init__(self, memory: int = 1000, hides_cause: bool = False):
        self.memory = memory
        self.hides_cause = hides_cause
        self.current: FakeStream | None = None
        self.recording: FakeGraph | None = None
        self.calls = 0
        self.replays = 0
        self.graphs_alive = 0
        self.emptied = 0  # calls of empty_cache
        self.streams = 0

    # --- the models of the tests; launched on the stream that is current ---
    def model(self, pixels: torch.Tensor) -> torch.Tensor:
        # Graphs cannot be recorded on CUDA's default stream.
        assert self.current is not None, "launched on the default stream"
        self.calls += 1
        if len(pixels) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        answers = sums(pixels)
        # A graph reads and writes the memory that it was recorded with.
        if self.recording:
            self.recording.pixels = pixels
            self.recording.answers = answers
        return answers

    def waiting_model(self, pixels: torch.Tensor) -> torch.Tensor:
        assert self.current is not None
        # Code that waits while it records is refused: FakeStream.synchronize.
        self.current.synchronize()
        return self.model(pixels)

    # --- torch.cuda ---
    def Stream(self, device):
        self.streams += 1
        return FakeStream(self)

    def current_stream(self, device):
        return FakeStream(self)

    def Event(self, blocking):
        return FakeEvent()

    def mem_get_info(self, device):
        inspect.signature(torch.cuda.memory.mem_get_info).bind(device)
        return self.memory, self.memory

    def graph_pool_handle(self):
        return (0, 1)

    def empty_cache(self):
        self.emptied += 1

    def CUDAGraph(self):
        return FakeGraph(self)

    @contextlib.contextmanager
    def stream(self, stream):
        before = self.current
        self.current = stream
        yield
        self.current = before

    @contextlib.contextmanager
    def graph(self, graph, **settings):
        inspect.signature(torch.cuda.graph).bind(graph, **settings)  # the real one takes the same
        assert settings["stream"] is self.current
        assert settings["pool"] == self.graph_pool_handle()
        self.recording = graph
        try:
            yield
        except torch.OutOfMemoryError:
            if self.hides_cause:
                hiding = "CUDA error: operation failed due to a previous error during capture"
                raise RuntimeError(hiding)  # noqa: B904  as in an __exit__
            raise
        finally:
            self.recording = None


class FakeStream:
    def __init__(self, cuda: FakeCuda):
        self._cuda = cuda

    def wait_stream(self, other):
        assert isinstance(other, FakeStream)

    def record_event(self):
        inspect.signature(torch.cuda.streams.Stream.record_event).bind(self)
        event = FakeEvent()
        event.record(self)
        return event

    def wait_event(self, event):
        inspect.signature(torch.cuda.streams.Stream.wait_event).bind(self, event)
        event.synchronize()

    def synchronize(self):
        if self._cuda.recording:
            raise RuntimeError(
                "CUDA error: operation not permitted when stream is capturing\nwith more lines"
            )


class FakeEvent:
    recorded = False

    def record(self, stream):
        self.recorded = isinstance(stream, FakeStream)

    def synchronize(self):
        assert self.recorded


class FakeGraph:
    pixels: torch.Tensor
    answers: torch.Tensor

    def __init__(self, cuda: FakeCuda):
        self._cuda = cuda
        cuda.graphs_alive += 1

    def replay(self):
        assert self._cuda.current is not None
        self._cuda.replays += 1
        self.answers.copy_(sums(self.pixels))

    def reset(self):
        self._cuda.graphs_alive -= 1
        self.__dict__.pop("pixels", None)  # not there if the recording failed
        self.__dict__.pop("answers", None)
