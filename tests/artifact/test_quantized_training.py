"""int8 in a whole training: its figures, its judges, and a stop."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from artifact.engines.choice import open_engine
from artifact.engines.quantization import STOPPED
from artifact.model import read_description
from tests.support.jobs import make_job, train_job
from tests.support.processes import ended, read_until, start
from train.data.photos import PhotoArrays
from train.result.measure import measure

pytestmark = pytest.mark.training


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_training_says_what_it_measured_in_which_precision(trained):
    """model.json, metrics.json and the report describe the engine that an endpoint opens here."""
    description = read_description(trained.model)
    engine = open_engine(trained.model, description)
    metrics = json.loads((trained.output_data / "metrics.json").read_text())
    assert description.provenance["measured_precision"] == metrics["precision"] == engine.precision
    speed = description.provenance["speed"]
    assert speed["precision"] == engine.precision
    assert speed["decode_ms"] > 0
    assert speed["engine_ms"] > 0
    assert metrics["quantization"] == description.quantization
    assert metrics["calibration"] == description.calibration
    assert description.calibration["photos"] == 12
    assert description.quantization["photos"] == 60  # of both channels: too few
    assert not description.quantization["kept"]
    paths = sorted((trained.root / "input/data/test").glob("*/*"))
    labels = [(description.classes.index(path.parent.name),) for path in paths]
    answers = measure(
        engine,
        description,
        "test",
        PhotoArrays(paths, description.preprocessing.pixels, 32),
        labels,
        lambda: False,
    )
    assert answers is not None
    assert answers.precision == engine.precision
    assert answers.line(0).endswith(f" precision={engine.precision}")
    assert (answers.accuracy(), answers.calibration_error()) == (
        description.accuracy["test"],
        metrics["test_ece"],
    )
    page = (trained.output_data / "report.html").read_text()
    assert f"own answers in {engine.precision}" in page
    assert f"A temperature of {description.temperature:.2f}" in page
    assert "No int8 model was kept: 60 photos are too few to judge one; 100 are needed" in page


@pytest.mark.verify
def test_without_validation_photos_training_photos_judge_int8(tmp_path):
    description = train_job(
        make_job(tmp_path, {"photos": 34}, epochs=1, split="1,0,0", quantize="true")
    )
    assert description.temperature == 1
    assert description.calibration == {}
    assert description.accuracy == {}
    assert description.quantization["calibration_photos"] == 102
    assert description.quantization["photos"] == 102
    assert {"f32_accuracy", "int8_accuracy", "agreement"} <= description.quantization.keys()
    page = (tmp_path / "output/data/report.html").read_text()
    assert description.quantization["kept"] == ("102 validation and training photos" in page)


@pytest.mark.verify
def test_sigterm_while_quantizing_leaves_the_artifact(tmp_path):
    job = make_job(tmp_path, {"train": 32, "validation": 2, "test": 2}, epochs=1, quantize="true")
    process = start(job, 1)
    # In the middle of its work.
    read_until(process, "quantization: calibrating")
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    code, rest = ended(process, timeout_s=30)
    assert code == 0, rest
    assert time.monotonic() - asked < 25
    assert f"no int8 model: {STOPPED}" in rest
    assert "test: photos=6" in rest
    description = read_description(job.model)
    assert description.quantization["reason"] == STOPPED
    assert {"model.json", "model.onnx", "model.safetensors"} <= files(job.model)
    assert not any("int8" in name for name in files(job.model))
    answers = open_engine(job.model, description).run(np.zeros((1, 32, 32, 3), np.uint8))
    assert answers.shape == (1, description.columns)
