"""Opens the engine that runs a model: `run(uint8[N, H, W, 3]) -> float32[N, columns]`.

The columns are the probabilities of the classes. Where model.json has `known`, one more comes last:
the photo's distance from all that the training has seen (artifact/class_means.py).

The caller does not know which engine it gets. Each has a `name`, the `precision` that it really
runs, and `max_batch`, the number of photos that it likes to get at once; `close` frees its memory.
Each loads its library only when it is opened.
"""

import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from artifact.engines.nvidia import DeviceError, use_gpu
from artifact.engines.openvino_engine import OpenVINOEngine
from artifact.engines.probe import compare, is_taken_unprobed
from artifact.host.machine import (
    BF16_FLAGS,
    F16_FLAGS,
    INT8_FLAGS,
    architecture,
    cpu_count,
    machine_kind,
    processor_flags,
)
from artifact.model import GRAPH_FILE, INT8_FILE, PROBE_FILE, ArtifactError, Description
from artifact.text.names import printable

if TYPE_CHECKING:
    from artifact.engines.torch_engine import TorchEngine

Engine = TypeVar("Engine", "OpenVINOEngine", "TorchEngine")

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

    precision: auto, f32, bf16, int8 (on the processor) or f16 (on a GPU, and on Arm). `auto` takes
    the quickest that this processor has instructions for and the artifact holds (`precisions`); on
    a GPU the one that answers like f32. On another kind of machine than the training's, a precision
    must answer the artifact's probe as f32 did there. threads: cores that one photo may use; None
    for all. device: cpu, cuda, or auto, which takes a GPU where one is. openvino_streams: on the
    processor, be ready to run several photos side by side, for the memory of the weights once more.

    Raises ArtifactError for a graph that does not load, does not fit model.json or does not answer
    with probabilities, for int8 for an artifact without an int8 model, and for an asked precision
    that the probe refutes; DeviceError for a GPU
    that is here and cannot be used, unless the device is cpu; ValueError for an unknown precision
    or device.
    """
    _check_known("precision", precision, PRECISIONS)
    _check_known("device", device, DEVICES)
    if _takes_gpu(description, device):
        return _warmed(_torch_engine(directory, description, precision), directory, description)
    engine = _openvino_engine(directory, description, precision, threads, openvino_streams)
    _warmed(engine, directory, description).prepare_streams()
    return engine


def _warmed(engine: Engine, directory: Path, description: Description) -> Engine:
    """The same engine, once its answers are probabilities; closed where they are not."""
    try:
        warm(engine, description)
    except BaseException as error:
        engine.close()
        if isinstance(error, ArtifactError):
            raise ArtifactError(f"'{directory}' {error}") from error
        raise
    return engine


def _takes_gpu(description: Description, device: str) -> bool:
    """Whether torch runs the network, which it rebuilds. DeviceError for one that it cannot."""
    takes = device == "cuda" or (device == "auto" and use_gpu())
    if takes and description.is_own_network:
        raise DeviceError(
            f"the network {printable(description.architecture)} is a user's own, which no GPU "
            "engine can rebuild: the GPU would stay idle; take slipway-serve on a machine without "
            "one, or ask for the device cpu"
        )
    return takes


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


def precisions(description: Description, flags: frozenset[str] | None = None) -> list[str]:
    """The precisions that `auto` may take here, the quickest first; f32 is always the last.

    int8 where the artifact holds a proven int8 model and the processor multiplies bytes (VNNI, AMX,
    Arm's dot product), bf16 or f16 where it has such instructions. On a processor that is not amd64
    only what the probe can prove. flags: of the processor; None for this one's.
    """
    flags = processor_flags() if flags is None else flags
    found = []
    if description.quantization.get("kept", False) and flags & INT8_FLAGS.keys():
        found.append("int8")
    if flags & BF16_FLAGS:
        found.append("bf16")
    if flags & F16_FLAGS:
        found.append("f16")
    able = [name for name in found if description.probe or is_taken_unprobed(description, name)]
    return [*able, "f32"]


def _check_known(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; found '{value}'")


def _torch_engine(directory: Path, description: Description, precision: str) -> "TorchEngine":
    from artifact.engines.torch_engine import TorchEngine

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
    _check_possible(directory, description, precision)
    wanted = precisions(description) if precision == "auto" else [precision]
    threads = threads or cpu_count()
    for name in wanted:
        engine = _opened(directory, description, name, threads, openvino_streams)
        refusal = _refusal(engine, directory, description, name)
        if refusal is None:
            return engine
        engine.close()
        if precision != "auto":
            raise ArtifactError(f"{refusal}; ask for precision auto or f32")
        log.warning("%s; a slower precision is taken", refusal)
    raise AssertionError("f32 is never refused")


def _check_possible(directory: Path, description: Description, precision: str) -> None:
    """Raise ArtifactError for a precision that is asked for and cannot be had here."""
    if precision == "f16" and architecture() == "amd64":
        raise ArtifactError(
            "precision f16 is a GPU's, and none is used; ask for precision auto, f32, bf16 or int8"
        )
    if precision == "int8" and not description.quantization.get("kept", False):
        reason = description.quantization.get("reason", "training did not quantize it")
        raise ArtifactError(
            f"'{directory}' holds no int8 model ({reason}); ask for precision auto, f32 or bf16"
        )
    unproven = not description.probe and not is_taken_unprobed(description, precision)
    if unproven and precision != "auto":
        raise ArtifactError(
            f"'{directory}' has no probe ({PROBE_FILE}), so nothing shows that {precision} answers "
            f"rightly on {architecture()}; ask for precision auto or f32, or train it again"
        )


def _refusal(
    engine: OpenVINOEngine, directory: Path, description: Description, precision: str
) -> str | None:
    """One sentence where the probe shows that a precision answers wrongly here; None else."""
    if is_taken_unprobed(description, precision):
        return None
    started = time.monotonic()
    try:
        found = compare(engine, directory, description)
    except BaseException:
        engine.close()
        raise
    bound = description.probe["bound"]
    sentence = (
        f"{precision} differs from f32 by {found.difference:.3g} on {found.photos} photos of the "
        f"model's probe (at most {bound:g}) on this machine, '{machine_kind()}'; "
        f"the model was made on '{printable(description.probe['machine'])}'"
    )
    if found.difference <= bound:
        log.info("probe: %s, %.0f ms", sentence, 1000 * (time.monotonic() - started))
        return None
    return sentence


def _opened(
    directory: Path, description: Description, precision: str, threads: int, streams: bool
) -> OpenVINOEngine:
    """The engine of a precision, its graph checked against the description."""
    path = Path(directory) / (INT8_FILE if precision == "int8" else GRAPH_FILE)
    engine = OpenVINOEngine(path, precision, threads, streams)
    size = description.preprocessing.crop
    _check_fits(path, "pixels", engine.input_shape, (size, size, 3))
    _check_fits(path, "classes", engine.classes, len(description.classes))
    _check_fits(path, "columns of answers", engine.columns, description.columns)
    return engine


def _check_fits(path: Path, name: str, found: object, expected: object) -> None:
    if found != expected:
        raise ArtifactError(f"'{path}' has {name} {found}; model.json says {expected}")
