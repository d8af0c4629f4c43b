"""Training jobs, whole: an /opt/ml tree in, an artifact and a report out."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from artifact.engines.choice import open_engine
from artifact.model import read_description
from artifact.photos.decoder import read_photo
from recipes.hyperparameters import Hyperparameters
from serve.predictor import Predictor
from tests.support.jobs import draw_channel, make_job, run_main, train_job
from train.job import Job
from train.learning.fit import stalled
from train.learning.loop import Metrics

pytestmark = pytest.mark.training

NUMBER = r"([0-9.eE+-]+)"


def history(job: Job) -> list[dict[str, str]]:
    return list(csv.DictReader((job.output_data / "history.csv").read_text().splitlines()))


def predictions(job: Job) -> list[dict[str, str]]:
    return list(csv.DictReader((job.output_data / "predictions.csv").read_text().splitlines()))


def test_the_artifact_answers_what_training_reported(trained):
    description = read_description(trained.model)
    engine = open_engine(trained.model, description)
    correct = []
    for path in sorted((trained.root / "input/data/test").glob("*/*")):
        probabilities = engine.run(description.preprocessing.pixels(read_photo(path))[None])[0]
        label = description.classes[probabilities[:3].argmax()]
        correct.append(label == path.parent.name)
    assert len(correct) == 18
    assert np.mean(correct) == description.accuracy["test"]
    assert description.accuracy["test"] > 0.8
    assert description.classes == ("blue", "green", "red")
    provenance = description.provenance
    assert provenance["data"]["train"] == 48
    assert provenance["hyperparameters"]["batch_size"] == 8
    assert provenance["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_the_files_beside_the_artifact(trained):
    rows = history(trained)
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 15)]
    assert float(rows[-1]["validation_accuracy"]) <= 1
    description = read_description(trained.model)
    metrics = json.loads((trained.output_data / "metrics.json").read_text())
    assert metrics["test_accuracy"] == description.accuracy["test"]
    assert metrics["test_photos"] == 18
    correct = [row["label"] == row["predicted"] for row in predictions(trained)]
    assert np.mean(correct) == metrics["test_accuracy"]
    assert "<svg" in (trained.output_data / "report.html").read_text()
    assert list((trained.output_data / "tensorboard").glob("*/events*"))
    expected = {"model.json", "model.onnx", "model.safetensors", "model.known.safetensors"}
    expected |= {"model.probe.npz", "model.reference.npz"}
    assert description.probe["photos"] > 0
    if description.quantization["kept"]:
        expected |= {"model.int8.xml", "model.int8.bin"}
    assert {path.name for path in trained.model.iterdir()} == expected


def test_tensorboard_events_hold_the_history(trained):
    from tensorboardX.proto.event_pb2 import Event

    data = next((trained.output_data / "tensorboard/validation").glob("events*")).read_bytes()
    found: dict[tuple[str, int], float] = {}
    position = 0
    while position < len(data):  # records: length, checksum, event, checksum
        length = int.from_bytes(data[position : position + 8], "little")
        event = Event.FromString(data[position + 12 : position + 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        position += 16 + length
    for row in history(trained):
        expected = pytest.approx(float(row["validation_loss"]), rel=1e-5)
        assert found["loss", int(row["epoch"])] == expected


def test_metric_lines_are_what_sagemakers_regexes_read(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "valid": 2, "test": 2}, epochs=2, top_k=2)
    code, out = run_main(job, capsys)
    assert code == 0
    for epoch in (1, 2):
        line = (
            rf"^epoch={epoch} train_loss={NUMBER} train_accuracy={NUMBER} "
            rf"validation_loss={NUMBER} validation_accuracy={NUMBER} "
        )
        assert re.search(line, out, re.M)
    line = (
        rf"^test: photos=6 test_loss={NUMBER} test_accuracy={NUMBER} "
        rf"test_top_2_accuracy={NUMBER} precision=(?:bf16|f32)$"
    )
    assert len(re.findall(line, out, re.M)) == 1
    assert "\r" not in out


def test_a_bigger_test_batch_changes_no_metric(tmp_path):
    results = []
    for size in (5, 64):  # two batches and one
        photos = {"train": 6, "validation": 3, "test": 3}
        job = make_job(tmp_path / str(size), photos, epochs=2, test_batch_size=size)
        train_job(job)
        rows = history(job)
        metrics = json.loads((job.output_data / "metrics.json").read_text())
        for row in (*rows, metrics):
            del row["seconds"]
        values = np.array([list(row.values()) for row in rows], float)
        results.append((values.round(5).tolist(), metrics))
    assert results[1] == results[0]


@pytest.mark.parametrize(
    "settings",
    [
        {
            "precision": "bfloat16",
            "augmentation": "strong",
            "class_weights": "balanced",
            "label_smoothing": 0.1,
            "optimizer": "nag",
            "schedule": "cosine",
            "warmup_epochs": 1,
        },
        {
            "model": "resnet18",
            "trainable": "layer4",
            "head": "16,8",
            "optimizer": "rmsprop",
            "lr": 0.0001,
            "schedule": "step",
            "lr_scheduler_step": "1",
        },
        {
            "model": "squeezenet1_1",
            "image_size": 64,
            "resize": 70,
            "trainable": "all",
            "head": "16",
            "schedule": "plateau",
            "optimizer": "adadelta",
            "augmentation": "crop_color_transform",
        },
        # Of 350 MB. In make test, tests/artifact proves its graph.
        pytest.param(
            {"model": "vit_b_32", "trainable": "head", "image_size": 64, "resize": 64},
            marks=pytest.mark.verify,
        ),
    ],
)
def test_settings_of_every_kind_end_with_a_proven_artifact(tmp_path, settings):
    photos = {"train": 5, "validation": 2, "test": 2}
    description = train_job(make_job(tmp_path, photos, **{"epochs": 2, **settings}))
    assert read_description(tmp_path / "model").accuracy == description.accuracy
    assert 0 <= description.accuracy["test"] <= 1


def test_one_channel_is_enough(tmp_path):
    job = make_job(tmp_path, {"photos": 10}, epochs=1)
    description = train_job(job)
    assert description.provenance["data"] | {"fingerprint": ""} == {
        "fingerprint": "",
        "train": 21,
        "validation": 3,
        "test": 6,
    }


def test_without_validation_and_test_the_last_epoch_is_kept(tmp_path, capsys):
    code, out = run_main(make_job(tmp_path, {"photos": 4}, epochs=2, split="1,0,0"), capsys)
    assert code == 0
    (line,) = re.findall("epoch=2.*", out)
    assert "validation" not in line
    assert "test:" not in out
    assert read_description(tmp_path / "model").provenance["best_epoch"] == 2


@pytest.mark.parametrize(
    "accuracies, stops",
    [
        ([0.1, 0.2, 0.3, 0.4], False),
        ([0.1, 0.4, 0.4, 0.3], True),
        ([0.1, 0.4, 0.3], False),
        ([0.4, 0.3, 0.3], True),
        ([0.4, 0.3], False),
        ([0.5, 0.501, 0.502, 0.51], True),
    ],
)
def test_early_stopping(accuracies, stops):
    hp = Hyperparameters(
        early_stopping=True,
        early_stopping_min_epochs=3,
        early_stopping_patience=2,
        early_stopping_tolerance=0.05,
    )
    history: list[Metrics] = [{"validation_accuracy": value} for value in accuracies]
    assert stalled(history, hp) == stops
    assert not stalled(history, Hyperparameters())


def test_early_stopping_ends_a_training_and_the_best_epoch_is_exported(tmp_path, capsys):
    job = make_job(
        tmp_path,
        {"train": 6, "validation": 3},
        epochs=30,
        early_stopping="true",
        early_stopping_min_epochs=2,
        early_stopping_patience=2,
        lr="0.003",
    )
    code, out = run_main(job, capsys)
    rows = history(job)
    provenance = read_description(job.model).provenance
    accuracies = [float(row["validation_accuracy"]) for row in rows]
    assert code == 0, out
    assert len(rows) < 30
    assert accuracies[provenance["best_epoch"] - 1] == max(accuracies)


def test_going_on_with_another_top_k_keeps_the_columns_apart(tmp_path):
    job = make_job(tmp_path, {"train": 4, "validation": 2}, epochs=1)
    train_job(job)
    config = job.root / "input/config/hyperparameters.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"epochs": "2", "top_k": "2"}))
    train_job(job)
    first, second = history(job)
    assert first["lr"] == "0.005"
    assert second["lr"] == "0.005"
    assert first["validation_top_2_accuracy"] == ""


def test_photos_of_odd_names_and_modes_train(tmp_path):
    job = make_job(tmp_path, {"train": 3}, epochs=1, split="1,0,0")
    folder = draw_channel(tmp_path / "input/data/train", 1)
    shutil.copy(folder / "red/red 0.jpg", folder / "red/ünï 'quoted' & <b>.JPEG")
    read_photo(folder / "red/red 0.jpg").convert("RGBA").save(folder / "red/alpha.png")
    read_photo(folder / "red/red 0.jpg").convert("L").save(folder / "blue/grey.webp")
    assert train_job(job).classes == ("blue", "green", "red")
    assert Path(job.output_data / "report.html").is_file()


def test_photos_of_several_labels(tmp_path, capsys):
    """A photo in two class folders has both labels, from training to the endpoint's answer."""
    photos = {"train": 14, "validation": 5, "test": 5}
    job = make_job(tmp_path, photos, epochs=14, multi_label="1", lr="0.01")
    for channel in job.channels.values():
        shutil.copytree(channel / "red", channel / "warm")
    code, out = run_main(job, capsys)
    description = read_description(job.model)
    assert code == 0, out
    assert description.multi_label
    assert description.classes == ("blue", "green", "red", "warm")
    assert description.provenance["data"]["train"] == 42
    assert description.accuracy["test"] > 0.6
    photo = next((tmp_path / "input/data/test/red").iterdir())
    (answer,) = Predictor(job.model).predict([photo.read_bytes()], 4)
    assert {entry["label"] for entry in answer["top"][:2]} == {"red", "warm"}
    assert sum(entry["probability"] for entry in answer["top"]) > 1.2
    assert answer["labels"] == ["red", "warm"]
    assert {row["label"] for row in predictions(job)} == {"blue", "green", "red;warm"}
