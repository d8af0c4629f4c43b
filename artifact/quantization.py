"""From the artifact's graph to its int8 model, kept only if it answers about as well.

NNCF's post-training quantization, in training only. NNCF works in a process of its own, `python -m
artifact.quantization`: it can be ended at any moment, and its memory, logging, progress bars and
telemetry do not reach the training. It knows nothing of labels: the caller measures accuracy.
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
from typing import Any

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
from artifact.preprocessing import Preprocessing

CALIBRATION_PHOTOS = 300
GATE = 0.005  # the share of photos by which int8 may be less accurate
ROUNDING = 1e-9
ORDER_FILE = "order.json"
OUTPUT_FILE = "output.txt"
STOPPED = "the training was asked to stop"
POLL_S = 0.05
PROGRESS_S = 20.0
TRANSFORMERS = ("vit_", "swin_", "maxvit")
# Nodes of the score behind `known`: they cost nothing, and its differences are small.
DISTANCE = ".*/distance/.*"
# Activations that go below zero: asymmetric ranges waste no half of the 256 steps on them.
BELOW_ZERO = ("efficientnet", "mobilenet_v3", "convnext", *TRANSFORMERS)

log = logging.getLogger(__name__)

# The accuracy of a description's artifact in a precision; None when it was stopped.
Accuracy = Callable[[Description, str], float | None]
Figures = dict[str, Any]  # for model.json


def quantize(
    directory: Path,
    description: Description,
    photos: Sequence[Path],
    accuracy: Accuracy,
    stop: Callable[[], bool],
    gate: float = GATE,
) -> Figures:
    """Write the artifact's int8 model beside its graph, if that costs at most `gate` of accuracy.

    photos: to calibrate on, sorted by class, at least one; CALIBRATION_PHOTOS from all over the
    list are used. Errors of `accuracy` are raised. Returns the figures for model.json: gate, kept,
    calibration_photos, f32_accuracy and int8_accuracy as far as measured, and the reason where
    nothing is kept.
    """
    count = min(CALIBRATION_PHOTOS, len(photos))
    chosen = [Path(photos[index * len(photos) // count]).absolute() for index in range(count)]
    log.info("quantization: calibrating int8 on %d photos", count)
    started = time.monotonic()
    figures: Figures = {"kept": False, "gate": gate, "calibration_photos": count}
    reason: str | None = STOPPED
    if not stop():
        reason = _write_int8(Path(directory), description, chosen, stop)
        reason = reason or _judge(description, accuracy, figures)
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


def _judge(description: Description, accuracy: Accuracy, figures: Figures) -> str | None:
    """Measure both models into the figures. None, or one sentence why int8 is not kept."""
    with_int8 = dataclasses.replace(description, quantization={"kept": True})
    for precision in ("f32", "int8"):
        try:
            value = accuracy(with_int8, precision)
        except ArtifactError as error:
            return str(error)
        if value is None:
            return STOPPED
        figures[f"{precision}_accuracy"] = value
    before = figures["f32_accuracy"]
    after = figures["int8_accuracy"]
    if before - after <= figures["gate"] + ROUNDING:
        return None
    return f"accuracy fell from {before:.5f} to {after:.5f}"


def _write_int8(
    directory: Path, description: Description, photos: list[Path], stop: Callable[[], bool]
) -> str | None:
    """Quantize in a child process. None, or one sentence on why it gave no int8 model."""
    order: dict[str, object] = {
        "graph": str((directory / GRAPH_FILE).absolute()),
        "architecture": description.architecture,
        "preprocessing": dataclasses.asdict(description.preprocessing),
        "photos": [os.fsencode(path).hex() for path in photos],  # names may be of any bytes
    }
    try:
        with tempfile.TemporaryDirectory(
            dir=directory, prefix=".int8.", suffix=TEMPORARY_SUFFIX
        ) as name:
            folder = Path(name).absolute()
            reason = _run_child(folder, order, stop)
            if reason is None:
                _move_files(folder, directory)
            return reason
    except OSError as error:
        return f"the int8 model cannot be written to '{directory}' ({error.strerror})"


def _run_child(folder: Path, order: dict[str, object], stop: Callable[[], bool]) -> str | None:
    """Quantize into a folder. None, or one sentence why that failed."""
    (folder / ORDER_FILE).write_text(json.dumps(order))
    with (folder / OUTPUT_FILE).open("w+b") as output:
        # a session of its own: Ctrl-C is for the training to handle
        child = subprocess.Popen(
            [sys.executable, "-m", "artifact.quantization", str(folder)],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            if not _wait(child, stop):
                return STOPPED
        finally:
            child.kill()
            child.wait()
        output.seek(0)
        lines = output.read().decode(errors="replace").strip().splitlines()
    if child.returncode == 0:
        return None
    last_line = lines[-1][:200] if lines else f"it ended with code {child.returncode}"
    return f"NNCF cannot quantize {order['architecture']} ({last_line})"


def _move_files(folder: Path, directory: Path) -> None:
    for name in (INT8_WEIGHTS_FILE, INT8_FILE):
        write_atomically(directory / name, (folder / name).read_bytes())


def _wait(child: "subprocess.Popen[bytes]", stop: Callable[[], bool]) -> bool:
    """Wait for the child's end. False when `stop` says so before."""
    started = time.monotonic()
    reported = started
    while child.poll() is None:
        if stop():
            return False
        if time.monotonic() - reported > PROGRESS_S:
            reported = time.monotonic()
            log.info("progress: quantizing for %.0f s", reported - started)
        time.sleep(POLL_S)
    return True


def main() -> None:
    """The child: read the order in the given folder, quantize, save beside it."""
    openvino = load_openvino()
    # NNCF would load them, for seconds, for models of other kinds
    for name in ("torch", "onnx"):
        sys.modules[name] = None  # type: ignore[assignment]  # makes its import fail
    # else NNCF starts 64 threads in a container of 2 cores
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: cpu_count()])
    import nncf

    folder = Path(sys.argv[1])
    order = json.loads((folder / ORDER_FILE).read_text())
    architecture = order["architecture"]
    preprocessing = Preprocessing(**order["preprocessing"])
    photos = [Path(os.fsdecode(bytes.fromhex(name))) for name in order["photos"]]
    model = openvino.Core().read_model(order["graph"])
    model.reshape([1, preprocessing.crop, preprocessing.crop, 3])
    preset = nncf.QuantizationPreset.PERFORMANCE
    if architecture.startswith(BELOW_ZERO):
        preset = nncf.QuantizationPreset.MIXED
    model_type = None
    if architecture.startswith(TRANSFORMERS):
        # parts of an attention layer stay in float, and activations are smoothed into the weights
        model_type = nncf.ModelType.TRANSFORMER
    quantized = nncf.quantize(
        model,
        nncf.Dataset(photos, lambda path: preprocessing.network_pixels(path)[None]),
        subset_size=len(photos),
        target_device=nncf.TargetDevice.CPU,
        preset=preset,
        model_type=model_type,
        ignored_scope=nncf.IgnoredScope(patterns=[DISTANCE], validate=False),
    )
    openvino.save_model(quantized, folder / INT8_FILE, compress_to_fp16=False)


if __name__ == "__main__":
    main()
