"""Training jobs, whole: an /opt/ml tree in, an artifact and a report out; stopped, killed and gone on with."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from artifact.engines import open_engine
from artifact.model import read_description
from artifact.preprocessing import read_photo
from recipes.hyperparameters import Hyperparameters
from serve.predictor import Predictor
from tests.support.jobs import REPOSITORY, draw_channel, failure, make_job, run_main, train_job
from train.job import Job
from train.learning.fit import stalled

NUMBER = r"([0-9.eE+-]+)"


def history(job: Job) -> list[dict[str, str]]:
    return list(csv.DictReader((job.output_data / "history.csv").read_text().splitlines()))


def newest_checkpoint(job: Job) -> dict:
    path = max(
        job.checkpoints.glob("checkpoint-*.pt"), key=lambda path: int(path.stem.partition("-")[2])
    )
    return torch.load(path, weights_only=True)


def test_the_artifact_answers_what_training_reported(trained):
    description = read_description(trained.model)
    engine = open_engine(trained.model, description)
    correct = []
    for path in sorted((trained.root / "input/data/test").glob("*/*")):
        probabilities = engine.run(description.preprocessing.pixels(read_photo(path))[None])[0]
        correct.append(description.classes[probabilities.argmax()] == path.parent.name)
    assert len(correct) == 18 and np.mean(correct) == description.accuracy["test"] > 0.8
    assert (
        description.classes == ("blue", "green", "red")
        and description.provenance["data"]["train"] == 48
    )
    assert (
        description.provenance["hyperparameters"]["batch_size"] == 8
        and description.provenance["versions"]["torch"] == torch.__version__.partition("+")[0]
    )


def test_what_lies_beside_the_artifact(trained):
    rows = history(trained)
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 15)] and float(
        rows[-1]["validation_accuracy"]
    ) <= 1
    metrics = json.loads((trained.output_data / "metrics.json").read_text())
    assert (
        metrics["test_accuracy"] == read_description(trained.model).accuracy["test"]
        and metrics["test_photos"] == 18
    )
    predictions = list(
        csv.DictReader((trained.output_data / "predictions.csv").read_text().splitlines())
    )
    assert (
        np.mean([row["label"] == row["predicted"] for row in predictions])
        == metrics["test_accuracy"]
    )
    assert "<svg" in (trained.output_data / "report.html").read_text()
    assert list((trained.output_data / "tensorboard").glob("events*"))
    int8 = (
        {"model.int8.xml", "model.int8.bin"}
        if read_description(trained.model).quantization["kept"]
        else set()
    )
    assert {path.name for path in trained.model.iterdir()} == {
        "model.json",
        "model.onnx",
        "model.safetensors",
    } | int8


def test_tensorboard_events_hold_the_history(trained):
    from tensorboardX.proto.event_pb2 import Event

    data = next((trained.output_data / "tensorboard").glob("events*")).read_bytes()
    found, position = {}, 0
    while position < len(data):  # records: length, checksum, event, checksum
        length = int.from_bytes(data[position : position + 8], "little")
        event = Event.FromString(data[position + 12 : position + 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        position += 16 + length
    rows = history(trained)
    for row in rows:
        assert found["validation_loss", int(row["epoch"])] == pytest.approx(
            float(row["validation_loss"]), rel=1e-5
        )


def test_metric_lines_are_what_sagemakers_regexes_read(tmp_path, capsys):
    code, out = run_main(
        make_job(tmp_path, {"train": 4, "valid": 2, "test": 2}, epochs=2, top_k=2), capsys
    )
    assert code == 0
    for epoch in (1, 2):
        assert re.search(
            rf"^epoch={epoch} train_loss={NUMBER} train_accuracy={NUMBER} validation_loss={NUMBER} validation_accuracy={NUMBER} ",
            out,
            re.M,
        )
    assert (
        len(
            re.findall(
                rf"^test: photos=6 test_loss={NUMBER} test_accuracy={NUMBER} test_top_2_accuracy={NUMBER} precision=(?:bf16|f32)$",
                out,
                re.M,
            )
        )
        == 1
    )
    assert "\r" not in out


def test_a_bigger_test_batch_changes_no_metric(tmp_path):
    lines = []
    for size in (1, 5, 64):
        job = make_job(
            tmp_path / str(size),
            {"train": 6, "validation": 3, "test": 3},
            epochs=2,
            test_batch_size=size,
        )
        train_job(job)
        rows = [
            {
                name: round(float(value), 5)
                for name, value in row.items()
                if name not in ("seconds",)
            }
            for row in history(job)
        ]
        lines.append(
            (rows, {**json.loads((job.output_data / "metrics.json").read_text()), "seconds": 0})
        )
    assert lines[0] == lines[1] == lines[2]


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
            "model": "vit_b_32",
            "trainable": "head",
            "image_size": 64,
            "resize": 64,
            "optimizer": "adadelta",
            "augmentation": "crop_color_transform",
        },
        {
            "model": "squeezenet1_1",
            "image_size": 64,
            "resize": 70,
            "trainable": "all",
            "head": "16",
            "schedule": "plateau",
        },
    ],
)
def test_settings_of_every_kind_end_with_a_proven_artifact(tmp_path, settings):
    description = train_job(
        make_job(tmp_path, {"train": 5, "validation": 2, "test": 2}, **{"epochs": 2, **settings})
    )
    assert (
        read_description(tmp_path / "model").accuracy == description.accuracy
        and 0 <= description.accuracy["test"] <= 1
    )


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
    assert code == 0 and "validation" not in re.search("epoch=2.*", out)[0] and "test:" not in out
    assert read_description(tmp_path / "model").provenance["best_epoch"] == 2


@pytest.mark.parametrize("change", ["weights", "class"])
def test_training_goes_on_from_its_checkpoint_as_if_never_interrupted(tmp_path, capsys, change):
    """The interrupted job ends with the very weights of the uninterrupted one; another job's checkpoint is refused."""
    whole = make_job(
        tmp_path / "whole",
        {"train": 5, "validation": 2, "test": 2},
        epochs=4,
        augmentation="strong",
        schedule="plateau",
    )
    first = make_job(
        tmp_path / "parts",
        {"train": 5, "validation": 2, "test": 2},
        epochs=2,
        augmentation="strong",
        schedule="plateau",
    )
    train_job(whole)
    train_job(first)
    capsys.readouterr()
    config = first.root / "input/config/hyperparameters.json"
    texts = json.loads(config.read_text())
    if change == "class":
        config.write_text(json.dumps(texts | {"model": "squeezenet1_1"}))
        code, out = run_main(first, capsys)
        assert (
            code == 1
            and "of another training: its model is 'shufflenet_v2_x0_5', this job's 'squeezenet1_1'"
            in failure(first)
        )
        return
    shutil.rmtree(first.model)
    config.write_text(json.dumps(texts | {"epochs": "4"}))
    code, out = run_main(first, capsys)
    assert (
        code == 0
        and "going on from the checkpoint of epoch 2" in out
        and "epoch=1 " not in out
        and "epoch=3 " in out
    )
    ours, theirs = (
        safetensors.numpy.load_file(job.model / "model.safetensors") for job in (first, whole)
    )
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_a_finished_job_started_again_trains_no_more(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "test": 2}, epochs=1)
    train_job(job)
    capsys.readouterr()
    code, out = run_main(job, capsys)
    assert code == 0 and "epoch=" not in out.replace("epoch of", "") and "test_accuracy" in out


def test_a_damaged_checkpoint_is_named(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4}, epochs=1)
    job.checkpoints.mkdir()
    (job.checkpoints / "checkpoint.pt").write_bytes(b"torn")
    code, _ = run_main(job, capsys)
    assert (
        code == 1
        and "checkpoint.pt' is not a checkpoint (" in failure(job)
        and "; empty the checkpoints folder" in failure(job)
    )


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
    history = [{"validation_accuracy": value} for value in accuracies]
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
    assert (
        code == 0 and len(rows) < 30 and accuracies[provenance["best_epoch"] - 1] == max(accuracies)
    )


@pytest.mark.parametrize("moment", ["loading", "training"])
def test_sigterm_saves_and_leaves_with_the_artifact(tmp_path, moment):
    job = make_job(tmp_path, {"train": 20, "validation": 2, "test": 2}, epochs=500)
    process = subprocess.Popen(
        [sys.executable, "-m", "train", "--root", str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith({"loading": "photos:", "training": "epoch=2"}[moment]):
            break
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    rest = process.communicate(timeout=30)[0]
    assert process.returncode == 0 and "stop requested" in rest and time.monotonic() - asked < 30
    description = read_description(job.model)
    assert description.provenance["epochs"] < 500 and open_engine(job.model, description)
    if moment == "training":
        assert newest_checkpoint(job)["epoch"] >= 2


def test_a_stop_between_two_checkpoints_saves_the_last_whole_epoch(tmp_path):
    job = make_job(tmp_path, {"train": 20, "validation": 2}, epochs=500, checkpoint_frequency=400)
    process = subprocess.Popen(
        [sys.executable, "-m", "train", "--root", str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("epoch=3"):
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    saved = newest_checkpoint(job)
    assert process.returncode == 0 and saved["epoch"] == len(saved["history"]) >= 3


def test_going_on_with_another_top_k_keeps_the_columns_apart(tmp_path):
    job = make_job(tmp_path, {"train": 4, "validation": 2}, epochs=1)
    train_job(job)
    config = job.root / "input/config/hyperparameters.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"epochs": "2", "top_k": "2"}))
    train_job(job)
    assert [row["lr"] for row in history(job)] == ["0.005", "0.005"] and history(job)[0][
        "validation_top_2_accuracy"
    ] == ""


def test_kill_9_leaves_a_checkpoint_to_go_on_from(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 10, "validation": 2}, epochs=6)
    process = subprocess.Popen(
        [sys.executable, "-m", "train", "--root", str(tmp_path)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("epoch=3"):
            break
    process.kill()
    process.communicate()
    code, out = run_main(job, capsys)
    assert (
        code == 0
        and re.search("going on from the checkpoint of epoch [2345]", out)
        and "epoch=6" in out
    )


def test_photos_of_odd_names_and_modes_train(tmp_path):
    job = make_job(tmp_path, {"train": 3}, epochs=1, split="1,0,0")
    folder = draw_channel(tmp_path / "input/data/train", 1)
    shutil.copy(folder / "red/red 0.jpg", folder / "red/ünï 'quoted' & <b>.JPEG")
    read_photo(folder / "red/red 0.jpg").convert("RGBA").save(folder / "red/alpha.png")
    read_photo(folder / "red/red 0.jpg").convert("L").save(folder / "blue/grey.webp")
    assert train_job(job).classes == ("blue", "green", "red")
    assert Path(job.output_data / "report.html").is_file()


def test_photos_of_several_labels(tmp_path, capsys):
    """A photo that stands in two class folders has both labels, from training to the endpoint's answer."""
    job = make_job(
        tmp_path, {"train": 14, "validation": 5, "test": 5}, epochs=14, multi_label="1", lr="0.01"
    )
    for channel in job.channels.values():
        shutil.copytree(channel / "red", channel / "warm")
    code, out = run_main(job, capsys)
    description = read_description(job.model)
    assert (
        code == 0
        and description.multi_label
        and description.classes == ("blue", "green", "red", "warm")
    )
    assert description.provenance["data"]["train"] == 42 and description.accuracy["test"] > 0.6
    photo = next((tmp_path / "input/data/test/red").iterdir())
    (answer,) = Predictor(job.model).predict([photo.read_bytes()], 4)
    assert {entry["label"] for entry in answer["top"][:2]} == {"red", "warm"} and sum(
        entry["probability"] for entry in answer["top"]
    ) > 1.2
    assert answer["labels"] == ["red", "warm"]
    rows = list(csv.DictReader((job.output_data / "predictions.csv").read_text().splitlines()))
    assert {row["label"] for row in rows} == {"blue", "green", "red;warm"}
