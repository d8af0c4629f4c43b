"""What runs a model: opened from an artifact's directory, asked by `run(uint8[N, H, W, 3]) -> float32[N, classes]`.

The caller does not know which engine it got. Each loads its library only when it is opened.
"""

import threading
from pathlib import Path

import numpy as np

from artifact.machine import cpu_count
from artifact.model import GRAPH_FILE, ArtifactError, Description


def open_engine(directory: Path, description: Description, precision: str = "auto", threads: int | None = None, device: str = "cpu") -> "OpenVINOEngine":
    """The engine for this machine, its graph checked against the description and warmed by one run.

    precision is "f32" or "bf16".
    Raises ArtifactError for a graph that does not load or does not fit model.json.
    """
    path = Path(directory) / GRAPH_FILE
    engine = OpenVINOEngine(path, 'f32' if precision == 'auto' else precision)
    engine.name, engine.precision, engine.max_batch = 'openvino', precision, 1
    engine.close = lambda: None
    size = description.preprocessing.crop
    for name, found, expected in (("pixels", engine.input_shape, (size, size, 3)),
                                  ("classes", engine.classes, len(description.classes))):
        if found != expected:
            raise ArtifactError(f"'{path}' has {name} {found}; model.json says {expected}")
    engine.run(np.zeros((1, size, size, 3), np.uint8))
    return engine


class OpenVINOEngine:
    """OpenVINO on the CPU. A batch gains nothing there, so each photo runs alone: an answer never depends on its
    neighbours. `run` may be called from many threads; they take turns photo by photo."""

    def __init__(self, path: Path, precision: str):
        import openvino

        core = openvino.Core()
        try:
            model = core.read_model(path)
            _, *shape = model.inputs[0].partial_shape
            self.input_shape = tuple(dimension.get_length() for dimension in shape)
            self.classes = model.outputs[0].partial_shape[1].get_length()
            model.reshape([1, *self.input_shape])
            compiled = core.compile_model(model, "CPU", {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": precision,
                "INFERENCE_NUM_THREADS": cpu_count(),
            })
        except (RuntimeError, IndexError) as error:
            raise ArtifactError(f"'{path}' is not a graph that OpenVINO reads ({str(error).splitlines()[-1]})") from error
        self._request = compiled.create_infer_request()
        self._turn = threading.Lock()

    def run(self, pixels: np.ndarray) -> np.ndarray:
        """Probabilities, float32 [N, classes], of pixels, uint8 [N, H, W, 3]."""
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.input_shape:
            raise ValueError(f"expected uint8 pixels [N, {', '.join(map(str, self.input_shape))}], "
                             f"found {pixels.dtype} {list(pixels.shape)}")
        answers = np.empty((len(pixels), self.classes), np.float32)
        for index in range(len(pixels)):
            with self._turn:
                self._request.infer(pixels[index:index + 1])
                answers[index] = self._request.get_output_tensor().data[0]
        return answers
