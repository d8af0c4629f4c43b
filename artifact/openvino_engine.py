"""OpenVINO on the CPU, for the ONNX graph and for the int8 model alike. Loads its library when it is opened."""

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

import numpy as np

from artifact.model import ArtifactError

MAX_STREAMS = 4

log = logging.getLogger(__name__)


def load_openvino() -> ModuleType:
    """openvino without its telemetry: else importing it leaves an identity under HOME and reports the import to Google."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


_kept: ContextVar[dict | None] = ContextVar("kept", default=None)  # graphs already read, by file


@contextlib.contextmanager
def graphs_kept() -> Iterator[None]:
    """While this lasts, a file's graph is read once, however many engines run it. The files must stay as they are, or be replaced."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


class OpenVINOEngine:
    """One compiled model: each photo runs alone, so that an answer never depends on its neighbours. `run` may be called from many
    threads; they take turns.

    precision, asked for as "f32", "bf16" or "int8", is then what really runs: OpenVINO falls back to f32 where the
    processor has no bf16. What int8 leaves unquantized runs in f32, so that the answers measured in training
    are those of every processor. Nothing is cached on disk.

    openvino_streams: compile the model once more, in the background, to run `max_batch` photos side by side, each on its share of the
    threads. That answers a tenth more photos a second than one after the other on all threads, which wait for each other at
    every layer; it takes the memory of the weights again.
    """

    name = "openvino"

    def __init__(self, path: Path, precision: str, threads: int, openvino_streams: bool = False):
        """Compile the model in a file. ArtifactError when OpenVINO cannot read it."""
        openvino = load_openvino()
        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": threads,
        }
        try:
            model = _read(core, path)
            _, *shape = model.inputs[0].partial_shape
            self.input_shape = tuple(dimension.get_length() for dimension in shape)
            self.classes = model.outputs[0].partial_shape[1].get_length()
            model.reshape([1, *self.input_shape])
            self._compiled = core.compile_model(
                model, "CPU", {**settings, "PERFORMANCE_HINT": "LATENCY"}
            )
        except (RuntimeError, IndexError) as error:
            raise ArtifactError(
                f"'{path}' is not a graph that OpenVINO reads ({str(error).splitlines()[-1]})"
            ) from error
        runs_bf16 = self._compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
        self.precision = "int8" if precision == "int8" else "bf16" if runs_bf16 else "f32"
        self._request = self._compiled.create_infer_request()
        self._streams: list = []
        self._turn = threading.Lock()
        self._closed = False
        self._preparing: threading.Thread | None = None
        count = min(threads, MAX_STREAMS)
        if openvino_streams and count > 1:
            self._preparing = threading.Thread(
                target=self._prepare,
                args=(core, model, settings, count),
                name="openvino streams",
                daemon=True,
            )
            self._preparing.start()

    @property
    def max_batch(self) -> int:
        """Photos that run side by side; 1 until the streams are ready, or without any."""
        return max(1, len(self._streams))

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Probabilities, float32 [N, classes], of pixels, uint8 [N, H, W, 3]. ValueError for others, RuntimeError once closed."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape:
            raise ValueError(
                f"expected uint8 pixels [N, {', '.join(map(str, self.input_shape))}], "
                f"found {pixels.dtype} {list(pixels.shape)}"
            )
        answers = np.empty((len(pixels), self.classes), np.float32)
        index = 0
        while index < len(pixels):
            with self._turn:
                if self._closed:
                    raise RuntimeError("the engine is closed")
                left = len(pixels) - index
                requests = (
                    self._streams
                    if self._streams and left >= len(self._streams)
                    else [self._request]
                )
                for place, request in enumerate(requests, index):
                    request.start_async([pixels[place : place + 1]])
                for place, request in enumerate(requests, index):
                    request.wait()
                    answers[place] = request.get_output_tensor().data[0]
                index += len(requests)
        return answers

    def close(self) -> None:
        """Give the model's memory back to the system, once the photos under way are answered. Closing twice is no error."""
        if self._preparing:
            self._preparing.join()
        with self._turn:
            self._closed = True
            self._streams, self._request, self._compiled = [], None, None

    def _prepare(self, core, model, settings: dict, count: int) -> None:
        try:
            compiled = core.compile_model(model, "CPU", {**settings, "NUM_STREAMS": count})
            requests = [compiled.create_infer_request() for _ in range(count)]
            blank = np.zeros((1, *self.input_shape), np.uint8)
            for request in requests:
                request.infer([blank])
        except (RuntimeError, MemoryError) as error:
            log.warning(
                "photos run one after the other: the model could not be compiled to run several side by side (%s)",
                str(error).splitlines()[-1],
            )
            return
        with self._turn:
            self._streams = requests


def _read(core, path: Path):
    kept = _kept.get()
    if kept is None:
        return core.read_model(path)
    status = Path(path).stat() if Path(path).exists() else None
    key = (str(path), status and (status.st_ino, status.st_size, status.st_mtime_ns))
    if key not in kept:
        kept.clear()  # the last one's memory first
        kept[key] = core.read_model(path)
    return kept[key]
