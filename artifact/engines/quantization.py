"""From the artifact's graph to its int8 model, kept only if it answers about as well.

NNCF's post-training quantization, in training only. NNCF works in a process of its own,
`python -m artifact.engines.quantization`: it can be ended at any moment, and its memory, logging,
progress bars and telemetry do not reach the training. It knows nothing of labels:
the caller measures accuracy.
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

from artifact.engines.int8_gate import GATE, Figures, Gate, Judgement, compared
from artifact.engines.int8_layers import (
    ATTEMPTS,
    DISTANCE,
    goes_below_zero,
    is_transformer,
    layers_in_float,
    overflow_fix,
)
from artifact.engines.openvino_engine import load_openvino
from artifact.host.machine import cpu_count, processor_flags, processor_name
from artifact.model import (
    GRAPH_FILE,
    INT8_FILE,
    INT8_WEIGHTS_FILE,
    TEMPORARY_SUFFIX,
    ArtifactError,
    Description,
    write_atomically,
)
from artifact.photos.preprocessing import Preprocessing

CALIBRATION_PHOTOS = 150
ORDER_FILE = "order.json"
OUTPUT_FILE = "output.txt"
STOPPED = "the training was asked to stop"
POLL_S = 0.05
PROGRESS_S = 20.0

log = logging.getLogger(__name__)

# A description's artifact in a precision, judged; None when it was stopped.
Judge = Callable[[Description, str], Judgement | None]


def quantize(
    directory: Path,
    description: Description,
    photos: Sequence[Path],
    judges: int,
    judge: Judge,
    stop: Callable[[], bool],
    gate: Gate = GATE,
) -> Figures:
    """Write the artifact's int8 model beside its graph, if it answers as the graph does.

    photos: to calibrate on, sorted by class, at least one; CALIBRATION_PHOTOS from all over the
    list are used. judges: how many photos `judge` asks; its errors are raised. Where int8 differs
    too much, it is made again with fewer layers in int8. Returns the figures for model.json, and
    the reason where nothing is kept.
    """
    started = time.monotonic()
    figures: Figures = {
        "kept": False,
        "photos": judges,
        "agreement_gate": gate.agreement,
        "loss_gate": gate.loss,
        "processor": processor_name(),
    }
    reason = _made(Path(directory), description, photos, judge, stop, gate, figures)
    if reason is None:
        log.info(
            "quantization: int8 is kept, it agrees with f32 on %.5f of %d photos, accuracy %.5f, "
            "in f32 %.5f, %.1f s on %s",
            figures["agreement"],
            judges,
            figures["int8_accuracy"],
            figures["f32_accuracy"],
            time.monotonic() - started,
            figures["processor"],
        )
        return figures | {"kept": True}
    log.info("quantization: no int8 model: %s", reason)
    _remove(Path(directory))
    return figures | {"reason": reason}


def _made(
    directory: Path,
    description: Description,
    photos: Sequence[Path],
    judge: Judge,
    stop: Callable[[], bool],
    gate: Gate,
    figures: Figures,
) -> str | None:
    """Make and judge int8 models until one passes. None, or one sentence why none did."""
    judges = figures["photos"]
    if judges < gate.photos:
        return f"{judges} photos are too few to judge one; {gate.photos} are needed"
    if stop():
        return STOPPED
    count = min(CALIBRATION_PHOTOS, len(photos))
    chosen = [Path(photos[index * len(photos) // count]).absolute() for index in range(count)]
    figures["calibration_photos"] = count
    known: dict[str, Judgement] = {}
    reason: str | None = None
    for attempt in range(ATTEMPTS):
        log.info(
            "quantization: calibrating int8 on %d photos, attempt %d of %d",
            count,
            attempt + 1,
            ATTEMPTS,
        )
        figures["attempt"] = attempt + 1
        obstacle = _write_int8(directory, description, chosen, attempt, stop)
        if obstacle is not None:
            return reason or obstacle
        reason = _compare(description, judge, known, gate, figures)
        if reason is None or stop():
            return reason
        _remove(directory)
    return reason


def _remove(directory: Path) -> None:
    for name in (INT8_FILE, INT8_WEIGHTS_FILE):
        (directory / name).unlink(missing_ok=True)


def _compare(
    description: Description,
    judge: Judge,
    known: dict[str, Judgement],
    gate: Gate,
    figures: Figures,
) -> str | None:
    """Measure both models into the figures. None, or one sentence why int8 is not kept.

    known: the judgement of f32, once it is there.
    """
    with_int8 = dataclasses.replace(description, quantization={"kept": True})
    for precision in ("f32", "int8"):
        if precision == "f32" and precision in known:
            continue
        try:
            judgement = judge(with_int8, precision)
        except ArtifactError as error:
            return str(error)
        if judgement is None:
            return STOPPED
        known[precision] = judgement
        figures[f"{precision}_accuracy"] = float(judgement.correct.mean())
    found = compared(known["f32"], known["int8"])
    figures |= found.figures()
    return found.obstacle(gate)


def _write_int8(
    directory: Path,
    description: Description,
    photos: list[Path],
    attempt: int,
    stop: Callable[[], bool],
) -> str | None:
    """Quantize in a child process. None, or one sentence on why it gave no int8 model."""
    order: dict[str, object] = {
        "graph": str((directory / GRAPH_FILE).absolute()),
        "architecture": description.architecture,
        "attempt": attempt,
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
            [sys.executable, "-m", "artifact.engines.quantization", str(folder)],
            cwd=Path(__file__).parents[2],
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
    preprocessing = Preprocessing(**order["preprocessing"])
    photos = [Path(os.fsdecode(bytes.fromhex(name))) for name in order["photos"]]
    model = openvino.Core().read_model(order["graph"])
    model.reshape([1, preprocessing.crop, preprocessing.crop, 3])
    kept = layers_in_float(model, order["attempt"])
    quantized = nncf.quantize(
        model,
        nncf.Dataset(photos, lambda path: preprocessing.network_pixels(path)[None]),
        subset_size=len(photos),
        target_device=nncf.TargetDevice.CPU,
        ignored_scope=nncf.IgnoredScope(names=kept, patterns=[DISTANCE], validate=False),
        **_settings(model),
    )
    openvino.save_model(quantized, folder / INT8_FILE, compress_to_fp16=False)


def _settings(model: object) -> dict[str, object]:
    """What NNCF must know of this kind of network, as arguments of its `quantize`."""
    import nncf
    from nncf.quantization.range_estimator import (
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
    )

    preset = nncf.QuantizationPreset.PERFORMANCE
    # Up to the largest value of all photos: NNCF's default, the mean of the photos' largest, cuts
    # off what decides between close answers (bench/RESULTS.md).
    ranges = RangeEstimatorParametersSet.MINMAX
    if goes_below_zero(model):
        preset = nncf.QuantizationPreset.MIXED
        ranges = RangeEstimatorParameters()
    model_type = None
    if is_transformer(model):
        # parts of an attention layer stay in float, and activations are smoothed into the weights
        model_type = nncf.ModelType.TRANSFORMER
    advanced = nncf.AdvancedQuantizationParameters(
        overflow_fix=nncf.OverflowFix(overflow_fix(processor_flags())),
        activations_range_estimator_params=ranges,
    )
    return {"preset": preset, "model_type": model_type, "advanced_parameters": advanced}


if __name__ == "__main__":
    main()
