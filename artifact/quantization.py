"""From the artifact's graph to its int8 model, kept only if it answers about as well: NNCF's post-training quantization.

Runs in training only. NNCF works in a process of its own, `python -m artifact.quantization`: it can be ended at any moment,
and neither its memory nor its logging, progress bars and telemetry reach the training. Knows nothing of labels: the caller
measures accuracy.
"""

import dataclasses
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from artifact.machine import cpu_count
from artifact.model import (
    GRAPH_FILE,
    INT8_FILE,
    INT8_WEIGHTS_FILE,
    TEMPORARY_SUFFIX,
    ArtifactError,
    Description,
    write_atomically,
)
from artifact.openvino_engine import load_openvino
from artifact.preprocessing import Preprocessing, read_photo

CALIBRATION_PHOTOS = 300
GATE = 0.005  # the share of photos that int8 may answer rightly less often
ORDER_FILE = "order.json"
STOPPED = "the training was asked to stop"
POLL_S = 0.05
PROGRESS_S = 20.0
TRANSFORMERS = ("vit_", "swin_", "maxvit")
# activations that go below zero: asymmetric ranges waste no half of the 256 steps on them
BELOW_ZERO = ("efficientnet", "mobilenet_v3", "convnext", *TRANSFORMERS)

log = logging.getLogger(__name__)


def quantize(
    directory: Path,
    description: Description,
    photos: Sequence[Path],
    accuracy: Callable[[Description, str], float | None],
    stop: Callable[[], bool],
    gate: float = GATE,
) -> dict:
    """Write the artifact's int8 model beside its graph if that costs no more than `gate` of accuracy; what model.json says of it.

    photos: what to calibrate on, sorted by class, at least one; CALIBRATION_PHOTOS of them, from all over the list, are used.
    accuracy measures the artifact in a precision, and gives None when it was stopped; what it raises is raised. The figures
    are gate, kept, calibration_photos, f32_accuracy and int8_accuracy as far as they were measured, and where nothing is kept
    the reason.
    """
    count = min(CALIBRATION_PHOTOS, len(photos))
    chosen = [Path(photos[index * len(photos) // count]).absolute() for index in range(count)]
    log.info("quantization: calibrating int8 on %d photos", count)
    started = time.monotonic()
    figures = {"kept": False, "gate": gate, "calibration_photos": count}
    reason = (
        STOPPED
        if stop()
        else _write_int8(Path(directory), description, chosen, stop)
        or _judge(description, accuracy, figures)
    )
    if reason is None:
        log.info(
            "quantization: int8 is kept, accuracy %.5f, in f32 %.5f, %.1f s",
            figures["int8_accuracy"],
            figures["f32_accuracy"],
            time.monotonic() - started,
        )
        return figures | {"kept": True}
    log.info("quantization: no int8 model: %s", reason)
    for name in (INT8_FILE, INT8_WEIGHTS_FILE):
        (Path(directory) / name).unlink(missing_ok=True)
    return figures | {"reason": reason}


def _judge(
    description: Description, accuracy: Callable[[Description, str], float | None], figures: dict
) -> str | None:
    """Measure both models into the figures; None, or one sentence why int8 is not kept."""
    for precision in ("f32", "int8"):
        try:
            value = accuracy(
                dataclasses.replace(description, quantization={"kept": True}), precision
            )
        except ArtifactError as error:
            return str(error)
        if value is None:
            return STOPPED
        figures[f"{precision}_accuracy"] = value
    fall = figures["f32_accuracy"] - figures["int8_accuracy"]
    return (
        None
        if fall <= figures["gate"] + 1e-9
        else f"accuracy fell from {figures['f32_accuracy']:.5f} to {figures['int8_accuracy']:.5f}"
    )


def _write_int8(
    directory: Path, description: Description, photos: list[Path], stop: Callable[[], bool]
) -> str | None:
    """Quantize in a child process; None, or one sentence why there is no int8 model."""
    order = {
        "graph": str((directory / GRAPH_FILE).absolute()),
        "architecture": description.architecture,
        "preprocessing": dataclasses.asdict(description.preprocessing),
        "photos": [os.fsencode(path).hex() for path in photos],
    }
    try:
        with tempfile.TemporaryDirectory(
            dir=directory, prefix=".int8.", suffix=TEMPORARY_SUFFIX
        ) as folder:
            return _run_child(Path(folder).absolute(), order, stop) or _take(
                Path(folder), directory
            )
    except OSError as error:
        return f"the int8 model cannot be written to '{directory}' ({error.strerror})"


def _run_child(folder: Path, order: dict, stop: Callable[[], bool]) -> str | None:
    (folder / ORDER_FILE).write_text(json.dumps(order))
    with (folder / "said.txt").open("w+b") as said:
        # a session of its own: Ctrl-C is for the training to handle
        child = subprocess.Popen(
            [sys.executable, "-m", "artifact.quantization", str(folder)],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            if not _wait(child, stop):
                return STOPPED
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if child.returncode:
        return f"NNCF cannot quantize {order['architecture']} ({lines[-1][:200] if lines else f'it ended with code {child.returncode}'})"
    return None


def _take(folder: Path, directory: Path) -> None:
    for name in (INT8_WEIGHTS_FILE, INT8_FILE):
        write_atomically(directory / name, (folder / name).read_bytes())


def _wait(child: subprocess.Popen, stop: Callable[[], bool]) -> bool:
    """Until the child ends, which is True, or `stop` says so."""
    started = told = time.monotonic()
    while child.poll() is None:
        if stop():
            return False
        if time.monotonic() - told > PROGRESS_S:
            told = time.monotonic()
            log.info("progress: quantizing for %.0f s", told - started)
        time.sleep(POLL_S)
    return True


def main() -> None:
    """The child: read the order in the folder that it is given, quantize, save beside it."""
    openvino = load_openvino()
    sys.modules.update(
        {"torch": None, "onnx": None}
    )  # NNCF would load them for seconds, for models that are not ours
    os.sched_setaffinity(
        0, sorted(os.sched_getaffinity(0))[: cpu_count()]
    )  # else 64 threads in a container of 2 cores
    import nncf

    folder = Path(sys.argv[1])
    order = json.loads((folder / ORDER_FILE).read_text())
    preprocessing = Preprocessing(**order["preprocessing"])
    photos = [Path(os.fsdecode(bytes.fromhex(name))) for name in order["photos"]]
    model = openvino.Core().read_model(order["graph"])
    model.reshape([1, preprocessing.crop, preprocessing.crop, 3])
    calibration = nncf.Dataset(photos, lambda path: preprocessing.pixels(read_photo(path))[None])
    architecture = order["architecture"]
    quantized = nncf.quantize(
        model,
        calibration,
        subset_size=len(photos),
        target_device=nncf.TargetDevice.CPU,
        preset=nncf.QuantizationPreset.MIXED
        if architecture.startswith(BELOW_ZERO)
        else nncf.QuantizationPreset.PERFORMANCE,
        # knows the parts of an attention layer that must stay in float; smooths activations into the weights
        model_type=nncf.ModelType.TRANSFORMER if architecture.startswith(TRANSFORMERS) else None,
    )
    openvino.save_model(quantized, folder / INT8_FILE, compress_to_fp16=False)


if __name__ == "__main__":
    main()
