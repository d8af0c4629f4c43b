"""Failures of training jobs: one clear sentence in output/failure, a code, and nothing lost."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import train.data.photos
from artifact.engines.choice import open_engine
from artifact.model import read_description
from recipes.hyperparameters import parse
from tests.support.jobs import failure, make_job, run_main, train_job
from tests.support.midway import Midway
from train.__main__ import main
from train.job import Job, JobError
from train.run import run

pytestmark = pytest.mark.training


def remove_channel(job: Job) -> None:
    shutil.rmtree(job.channels["train"])


def remove_all_classes(job: Job) -> None:
    for folder in job.channels["train"].iterdir():
        shutil.rmtree(folder)


def leave_one_class(job: Job) -> None:
    for name in ("red", "blue"):
        shutil.rmtree(job.channels["train"] / name)


def tear_a_photo(job: Job) -> None:
    (job.channels["train"] / "red/red 0.jpg").write_bytes(b"\xff\xd8\xff torn")


def tear_a_test_photo(job: Job) -> None:
    shutil.copytree(job.channels["validation"], job.root / "input/data/test")
    (job.channels["test"] / "red/red 0.jpg").write_bytes(b"\xff\xd8\xff torn")


FAILURES = [
    # it took all epochs until it was found
    ({"epochs": 100_000}, tear_a_test_photo, "test/red/red 0.jpg': it is not a complete photo"),
    ({}, remove_channel, "input/data lacks the channel train"),
    ({}, remove_all_classes, "holds no photos"),
    ({}, leave_one_class, "holds one class only ('green')"),
    ({}, tear_a_photo, "red 0.jpg': it is not a complete photo"),
    (
        {"learnig_rate": 1},
        None,
        "hyperparameter 'learnig_rate' is unknown (did you mean 'learning_rate'?)",
    ),
    ({"lr": "abc"}, None, "hyperparameter lr must be a number; found 'abc'"),
    (
        {"model": "resnet51"},
        None,
        "model 'resnet51' is not a torchvision classification model; did you mean resnet50",
    ),
    ({"weights": "start"}, None, "weights 'start' are neither"),
    ({"weights": "none/such.pth"}, None, "the weights file 'none/such.pth' does not exist"),
    ({"trainable": "layer7"}, None, "trainable 'layer7' is neither head, all nor a module"),
    ({"num_classes": 5}, None, "num_classes is 5, but the train channel holds 3 classes"),
    ({"precision": "float16"}, None, "precision=float16 needs a GPU"),
    (
        {"model": "vit_b_32", "image_size": 64, "resize": 64, "first_resolution": 0.5},
        None,
        "model vit_b_32 cannot see photos of 32 x 32 pixels",
    ),
    (
        {"model": "inception_v3", "image_size": 32},
        None,
        "model inception_v3 cannot see photos of 32 x 32 pixels",
    ),
    (
        {"model": "vgg11", "image_size": 64, "resize": 64},
        None,
        "model vgg11 cannot see photos of 64 x 64 pixels "
        "(its feature map of 2 x 2 cannot be pooled to 7 x 7",
    ),
    ({"lr": "1e30", "optimizer": "sgd", "epochs": 3}, None, " loss became "),
    ({"resize": 20}, None, "crop must lie between 1 and resize"),
    (
        {},
        lambda job: (job.root / "input/config/hyperparameters.json").write_text("{"),
        "not readable JSON",
    ),
]


@pytest.mark.parametrize(
    "settings, spoil, words", FAILURES, ids=[words[:40] for _, _, words in FAILURES]
)
def test_every_failure_is_one_clear_sentence(tmp_path, capsys, settings, spoil, words):
    if "float16" in settings.values() and torch.cuda.is_available():
        pytest.skip("here float16 works")
    job = make_job(tmp_path, {"train": 3, "validation": 1}, **settings)
    if spoil:
        spoil(job)
    code, out = run_main(job, capsys)
    assert code == 1
    assert words in failure(job)
    assert words in out
    assert "\n" not in failure(job)
    assert len(failure(job)) <= 1024
    assert "Traceback" not in out


def test_a_missing_root_is_named(capsys):
    assert main(["--root", "/nowhere/at/all"]) == 1
    assert "the folder '/nowhere/at/all' does not exist" in capsys.readouterr().err


def test_a_job_that_failed_before_leaves_no_old_reason(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 3}, epochs=1)
    job.write_failure("an earlier reason")
    assert run_main(job, capsys)[0] == 0
    assert not (job.root / "output" / "failure").exists()


def test_a_loss_that_becomes_nan_leaves_the_best_epochs_artifact(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "validation": 2}, epochs=2)
    train_job(job)
    shutil.rmtree(job.model)
    config = job.root / "input/config/hyperparameters.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"epochs": "4"}))
    checkpoint = torch.load(job.checkpoints / "checkpoint-2.pt", weights_only=True)
    checkpoint["network"] |= {"fc.weight": torch.full((3, 1024), float("nan"))}
    shutil.rmtree(job.checkpoints)
    job.checkpoints.mkdir()
    torch.save(checkpoint, job.checkpoints / "checkpoint.pt")  # of earlier versions: it has no seal
    code, _ = run_main(job, capsys)
    assert code == 1
    assert "the training loss became nan in epoch 3" in failure(job)
    assert "the best so far, is kept" in failure(job)
    assert read_description(job.model).accuracy["validation"] >= 0


@pytest.mark.parametrize(
    "spoil, words",
    [
        (Path.unlink, "cannot be read: No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "not a complete photo"),
    ],
    ids=["deleted", "torn"],
)
@pytest.mark.parametrize("photo", ["train/red/red 0.jpg", "validation/red/red 0.jpg"])
def test_a_photo_that_turns_unreadable_leaves_the_best_epochs_artifact(
    tmp_path, monkeypatch, photo, spoil, words
):
    """Photos that do not fit into memory are read anew each epoch."""
    monkeypatch.setattr(train.data.photos, "open_store", lambda *_: None)
    job = make_job(tmp_path, {"train": 4, "validation": 2}, epochs=4)
    path = tmp_path / "input/data" / photo
    stop = Midway(job, 2, lambda: spoil(path))
    with pytest.raises(JobError, match=words) as caught:
        run(job, parse(job.hyperparameters()), stop)
    assert f"photo '{path}'" in str(caught.value)
    assert "the best so far, is kept" in str(caught.value)
    description = read_description(job.model)
    assert description.provenance["epochs"] in (2, 3)
    assert open_engine(job.model, description)
    assert (job.checkpoints / "checkpoint-2.pt").exists()


def test_a_validation_loss_that_is_no_number_ends_the_training(tmp_path, capsys):
    """One step of a huge rate: the training loss was still finite, the network is not."""
    job = make_job(tmp_path, {"train": 2, "validation": 2}, epochs=1, lr="1e30", optimizer="sgd")
    code, out = run_main(job, capsys)
    assert code == 1
    assert "the validation loss became" in failure(job)
    assert "Traceback" not in out
    assert not list(job.checkpoints.iterdir())
    assert not (job.model / "model.json").exists()


def test_an_unused_channel_is_named(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 6, "vaildation": 2}, epochs=1)
    code, out = run_main(job, capsys)
    assert code == 0
    assert "channel 'vaildation' is not used; known: train, training, validation" in out
    assert "no validation or test channel: split off train" in out
