"""OpenVINO on the CPU, for the ONNX graph and for the int8 model alike.

It loads its library when it is opened.
"""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.engines.graph_bounds import check_graph
from artifact.model import ArtifactError

MAX_STREAMS = 4

# openvino ships no types; these are its Core, Model, CompiledModel and InferRequest.
Core = Any
Model = Any
Request = Any

log = logging.getLogger(__name__)


def load_openvino() -> ModuleType:
    """openvino without its telemetry.

    With it, the import leaves an identity under HOME and reports to Google.
    """
    # None makes its import fail
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # not a module
    import openvino

    module: ModuleType = openvino
    return module


FileState = tuple[str, tuple[int, int, int] | None]  # path; inode, bytes and time of change
_kept: ContextVar[dict[FileState, Model] | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def graphs_kept() -> Iterator[None]:
    """While this lasts, a file's graph is read once, however many engines run it.

    The files must stay as they are, or be replaced.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


class OpenVINOEngine:
    """One compiled model. Each photo runs alone, so no answer depends on its neighbours.

    `run` may be called from many threads; they take turns. Nothing is cached on disk.

    precision: "f32", "bf16", "f16" or "int8" as asked for, then the one that really runs: OpenVINO
    falls back to f32 where the processor has no bf16, and computes in f16 on Arm where it is asked
    for nothing. The unquantized parts of an int8 model run in f32, so that every processor answers
    as measured in training.

    openvino_streams: from `prepare_streams` on, compile the model once more, in the background, to
    run `max_batch` photos side by side, each on its share of the threads. That answers a tenth more
    photos per second than one after the other on all threads, which wait for each other at every
    layer. It takes the memory of the weights again.
    """

    name = "openvino"

    def __init__(self, path: Path, precision: str, threads: int, openvino_streams: bool = False):
        """Compile the model in a file.

        Raises ArtifactError for one that OpenVINO cannot read or that is not run, MemoryError for
        one that has no room.
        """
        openvino = load_openvino()
        core = openvino.Core()
        hint = precision if precision in ("bf16", "f16") else "f32"
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
        count = min(threads, MAX_STREAMS)
        try:
            model = _read(core, path)
            shape = list(model.inputs[0].partial_shape)[1:]
            self.input_shape = tuple(dimension.get_length() for dimension in shape)
            self.classes: int = model.outputs[0].partial_shape[1].get_length()
            widths = [output.partial_shape[1].get_length() for output in model.outputs]
            self.columns: int = sum(widths)
            model.reshape([1, *self.input_shape])
            check_graph(model, count if openvino_streams else 1)
            compiled = core.compile_model(model, "CPU", {**settings, "PERFORMANCE_HINT": "LATENCY"})
        except (RuntimeError, IndexError, ValueError) as error:
            raise ArtifactError(
                f"'{path}' is not a graph that OpenVINO reads ({_last_line(error)})"
            ) from error
        self.precision = precision
        if precision != "int8":
            running = compiled.get_property("INFERENCE_PRECISION_HINT")
            self.precision = str(running.get_type_name())
        self._request: Request | None = compiled.create_infer_request()
        self._streams: list[Request] = []
        self._turn = threading.Lock()
        self._preparing: threading.Thread | None = None
        if openvino_streams and count > 1:
            self._preparing = threading.Thread(
                target=self._prepare,
                args=(core, model, settings, count),
                name="openvino streams",
                daemon=True,
            )

    def prepare_streams(self) -> None:
        """Begin to compile for several photos; call it once, when the engine is warm.

        Before, it would take the cores from the first answer. Without openvino_streams it does
        nothing.
        """
        if self._preparing:
            self._preparing.start()

    @property
    def max_batch(self) -> int:
        """Photos that run side by side; 1 until the streams are ready, or without any."""
        return max(1, len(self._streams))

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Answers, float32 [N, columns], to pixels, uint8 [N, H, W, 3]: all outputs, in order.

        Raises ValueError for other pixels, RuntimeError once closed.
        """
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape:
            raise ValueError(
                f"expected uint8 pixels [N, {', '.join(map(str, self.input_shape))}], "
                f"found {pixels.dtype} {list(pixels.shape)}"
            )
        answers = np.empty((len(pixels), self.columns), np.float32)
        start = 0
        while start < len(pixels):
            with self._turn:  # per group, so that other callers get their turns in between
                requests = self._requests(len(pixels) - start)
                for index, request in enumerate(requests, start):
                    request.start_async([pixels[index : index + 1]])
                for index, request in enumerate(requests, start):
                    request.wait()
                    outputs = [tensor.data[0] for tensor in request.output_tensors]
                    answers[index] = np.concatenate(outputs)
            start += len(requests)
        return answers

    def close(self) -> None:
        """Give the model's memory back once the photos under way are answered.

        A second call does nothing.
        """
        if self._preparing and self._preparing.ident:  # begun
            self._preparing.join()
        with self._turn:
            self._streams = []
            self._request = None

    def _requests(self, photos: int) -> list[Request]:
        """The requests for the next photos: all streams where they are filled, else one."""
        if self._request is None:
            raise RuntimeError("the engine is closed")
        if self._streams and photos >= len(self._streams):
            return self._streams
        return [self._request]

    def _prepare(self, core: Core, model: Model, settings: dict[str, Any], count: int) -> None:
        """Compile the model for several photos side by side, and warm it."""
        try:
            compiled = core.compile_model(model, "CPU", {**settings, "NUM_STREAMS": count})
            requests = [compiled.create_infer_request() for _ in range(count)]
            blank = np.zeros((1, *self.input_shape), np.uint8)
            for request in requests:
                request.infer([blank])
        except (RuntimeError, MemoryError) as error:
            log.warning(
                "photos run one after the other: "
                "the model could not be compiled to run several side by side (%s)",
                _last_line(error),
            )
            return
        with self._turn:
            self._streams = requests


def _last_line(error: Exception) -> str:
    """The last words of an error, in which OpenVINO says what is wrong; its type without any."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _read(core: Core, path: Path) -> Model:
    """A file's graph; within graphs_kept the one that was read before."""
    kept = _kept.get()
    if kept is None:
        return core.read_model(path)
    file: tuple[int, int, int] | None = None
    if Path(path).exists():
        status = Path(path).stat()
        file = (status.st_ino, status.st_size, status.st_mtime_ns)
    key = (str(path), file)
    if key not in kept:
        kept.clear()  # frees the memory of the graph before
        kept[key] = core.read_model(path)
    return kept[key]
