"""OpenVINO on the CPU, for the ONNX graph and for the int8 model alike. Loads its library when it is opened."""

import sys
import threading
from pathlib import Path
from types import ModuleType

import numpy as np

from artifact.model import ArtifactError


def load_openvino() -> ModuleType:
    """openvino without its telemetry: else importing it leaves an identity under HOME and reports the import to Google."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


class OpenVINOEngine:
    """One compiled model. A batch gains nothing on a CPU, so each photo runs alone: an answer never depends on its
    neighbours. `run` may be called from many threads; they take turns photo by photo.

    precision, asked for as "f32", "bf16" or "int8", is then what really runs: OpenVINO falls back to f32 where the
    processor has no bf16. What int8 leaves unquantized runs in f32, so that the answers measured in training
    are those of every processor. Nothing is cached on disk.
    """

    name = "openvino"
    max_batch = 1

    def __init__(self, path: Path, precision: str, threads: int):
        """Compile the model in a file. ArtifactError when OpenVINO cannot read it."""
        openvino = load_openvino()
        core = openvino.Core()
        try:
            model = core.read_model(path)
            _, *shape = model.inputs[0].partial_shape
            self.input_shape = tuple(dimension.get_length() for dimension in shape)
            self.classes = model.outputs[0].partial_shape[1].get_length()
            model.reshape([1, *self.input_shape])
            self._compiled = core.compile_model(model, "CPU", {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
                "INFERENCE_NUM_THREADS": threads,
            })
        except (RuntimeError, IndexError) as error:
            raise ArtifactError(f"'{path}' is not a graph that OpenVINO reads ({str(error).splitlines()[-1]})") from error
        runs_bf16 = self._compiled.get_property("INFERENCE_PRECISION_HINT") == openvino.Type.bf16
        self.precision = "int8" if precision == "int8" else "bf16" if runs_bf16 else "f32"
        self._request = self._compiled.create_infer_request()
        self._turn = threading.Lock()

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Probabilities, float32 [N, classes], of pixels, uint8 [N, H, W, 3]. ValueError for others, RuntimeError once closed."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape:
            raise ValueError(f"expected uint8 pixels [N, {', '.join(map(str, self.input_shape))}], "
                             f"found {pixels.dtype} {list(pixels.shape)}")
        answers = np.empty((len(pixels), self.classes), np.float32)
        for index in range(len(pixels)):
            with self._turn:
                if self._request is None:
                    raise RuntimeError("the engine is closed")
                self._request.infer(pixels[index:index + 1])
                answers[index] = self._request.get_output_tensor().data[0]
        return answers

    def close(self) -> None:
        """Give the model's memory back to the system, once the photo under way is answered. Closing twice is no error."""
        with self._turn:
            self._request = self._compiled = None
