"""Opens the engine that runs a model: `run(uint8[N, H, W, 3]) -> float32[N, columns]`.

The columns are the probabilities of the classes. Where model.json has `known`, one more comes last:
the photo's distance from all that the training has seen (artifact/class_means.py).

The caller does not know which engine it gets. Each has a `name`, the `precision` that it really
runs, and `max_batch`, the number of photos that it likes to get at once; `close` frees its memory.
Each loads its library only when it is opened.
"""

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artifact.machine import BF16_FLAGS, INT8_FLAGS, cpu_count, processor_flags
from artifact.model import GRAPH_FILE, INT8_FILE, ArtifactError, Description
from artifact.nvidia import use_gpu
from artifact.openvino_engine import OpenVINOEngine

if TYPE_CHECKING:
    from artifact.torch_engine import TorchEngine

PRECISIONS = ("auto", "f32", "bf16", "int8", "f16")
DEVICES = ("auto", "cpu", "cuda")

log = logging.getLogger(__name__)

ROUNDING = 0.02  # of probabilities in bf16 and int8


def open_engine(
    directory: Path,
    description: Description,
    precision: str = "auto",
    threads: int | None = None,
    device: str = "cpu",
    openvino_streams: bool = False,
) -> "OpenVINOEngine | TorchEngine":
    """The engine for this machine, its graph checked against the description, and warm.

    precision: auto, f32, bf16, int8 (on the processor) or f16 (on a GPU). `auto` takes the quickest
    that this processor has instructions for and the artifact holds (see `best_precision`); on a GPU
    the one that answers like f32. threads: cores that one photo may use; None for all. device: cpu,
    cuda, or auto, which takes a GPU where one is. openvino_streams: on the processor, be ready
    to run several photos side by side, for the memory of the weights once more.

    Raises ArtifactError for a graph that does not load, does not fit model.json or does not answer
    with probabilities, and for int8 for an artifact without an int8 model; DeviceError for a GPU
    that is here and cannot be used, unless the device is cpu; ValueError for an unknown precision
    or device.
    """
    _check_known("precision", precision, PRECISIONS)
    _check_known("device", device, DEVICES)
    engine: OpenVINOEngine | TorchEngine
    if _takes_gpu(description, device):
        engine = _torch_engine(directory, description, precision)
    else:
        engine = _openvino_engine(directory, description, precision, threads, openvino_streams)
    try:
        warm(engine, description)
    except BaseException as error:
        engine.close()
        if isinstance(error, ArtifactError):
            raise ArtifactError(f"'{directory}' {error}") from error
        raise
    return engine


def _takes_gpu(description: Description, device: str) -> bool:
    """Whether torch runs the network, which it rebuilds. Raises ArtifactError for one it cannot."""
    if device == "cpu" or not description.is_own_network:
        return device == "cuda" or (device == "auto" and use_gpu())
    sentence = (
        f"the network {description.architecture} is a user's own, which no GPU engine can rebuild"
    )
    if device == "cuda":
        raise ArtifactError(f"{sentence}; ask for device cpu or auto")
    if use_gpu():
        log.warning("%s: it runs on the processor", sentence)
    return False


def warm(engine: "OpenVINOEngine | TorchEngine", description: Description) -> None:
    """Run an engine on two pictures: the first run allocates memory, and the answers show faults.

    Raises ArtifactError unless the answers are probabilities.
    """
    size = description.preprocessing.crop
    shape = (1, size, size, 3)
    samples = np.arange(math.prod(shape)) % 256  # all values: a fault may hide behind zeros
    for pixels in (np.zeros(shape, np.uint8), samples.astype(np.uint8).reshape(shape)):
        answers = engine.run(pixels)
        check_probabilities(answers[:, : len(description.classes)], description.multi_label)
        if not np.isfinite(answers).all():
            raise ArtifactError("answers with a distance that is not a number; train it again")


def check_probabilities(answers: NDArray[np.float32], multi_label: bool) -> None:
    """Raise ArtifactError unless float32 [N, classes] holds probabilities, within rounding.

    multi_label: each class has one of its own; else those of a photo add up to 1.
    """
    if not np.isfinite(answers).all():
        raise ArtifactError("answers with what is not a number; train it again")
    lowest = float(answers.min())
    highest = float(answers.max())
    if lowest < -ROUNDING or highest > 1 + ROUNDING:
        raise ArtifactError(
            f"answers with numbers from {lowest:.3g} to {highest:.3g}; expected probabilities"
        )
    sums = answers.sum(axis=1)
    if not multi_label and np.abs(sums - 1).max() > ROUNDING:
        raise ArtifactError(f"answers with probabilities that add up to {sums[0]:.3g}; expected 1")


def best_precision(flags: frozenset[str], has_int8: bool) -> str:
    """The precision that `auto` takes on a processor with these flags.

    int8 where the artifact holds a proven int8 model and the processor multiplies bytes (VNNI,
    AMX), else bf16 where it has such instructions, else f32.
    """
    if has_int8 and flags & INT8_FLAGS.keys():
        return "int8"
    if flags & BF16_FLAGS:
        return "bf16"
    return "f32"


def _check_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; found '{value}'")


def _torch_engine(directory: Path, description: Description, precision: str) -> "TorchEngine":
    from artifact.torch_engine import TorchEngine

    # the int8 model is for processors
    gpu_precision = "auto" if precision == "int8" else precision
    return TorchEngine(directory, description, gpu_precision)


def _openvino_engine(
    directory: Path,
    description: Description,
    precision: str,
    threads: int | None,
    openvino_streams: bool,
) -> OpenVINOEngine:
    if precision == "f16":
        raise ArtifactError(
            "precision f16 is a GPU's, and none is used; ask for precision auto, f32, bf16 or int8"
        )
    has_int8 = bool(description.quantization.get("kept", False))
    if precision == "int8" and not has_int8:
        reason = description.quantization.get("reason", "training did not quantize it")
        raise ArtifactError(
            f"'{directory}' holds no int8 model ({reason}); ask for precision auto, f32 or bf16"
        )
    if precision == "auto":
        precision = best_precision(processor_flags(), has_int8)
    path = Path(directory) / (INT8_FILE if precision == "int8" else GRAPH_FILE)
    engine = OpenVINOEngine(path, precision, threads or cpu_count(), openvino_streams)
    size = description.preprocessing.crop
    _check_fits(path, "pixels", engine.input_shape, (size, size, 3))
    _check_fits(path, "classes", engine.classes, len(description.classes))
    _check_fits(path, "columns of answers", engine.columns, description.columns)
    return engine


def _check_fits(path: Path, name: str, found: object, expected: object) -> None:
    if found != expected:
        raise ArtifactError(f"'{path}' has {name} {found}; model.json says {expected}")
