"""Every way a training job can fail: one clear sentence in output/failure, a code, and nothing lost."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import train.data.photos
from artifact.engines import open_engine
from artifact.model import read_description
from recipes.hyperparameters import parse
from tests.support.jobs import REPOSITORY, failure, make_job, run_main, train_job
from train.__main__ import main
from train.job import Job, JobError
from train.run import run
from train.stop import Stop

FAILURES = [
    ({}, lambda job: shutil.rmtree(job.root / "input/data/train"), "there is no train channel"),
    (
        {},
        lambda job: [shutil.rmtree(path) for path in (job.root / "input/data/train").iterdir()],
        "holds no photos",
    ),
    (
        {},
        lambda job: [
            shutil.rmtree(job.root / "input/data/train" / name) for name in ("red", "blue")
        ],
        "holds one class only ('green')",
    ),
    (
        {},
        lambda job: (job.root / "input/data/train/red/red 0.jpg").write_bytes(b"\xff\xd8\xff torn"),
        "red 0.jpg': it is not a complete photo",
    ),
    (
        {"learnig_rate": 1},
        None,
        "hyperparameter 'learnig_rate' is unknown (did you mean 'learning_rate'?)",
    ),
    ({"lr": "abc"}, None, "hyperparameter lr must be a number; found 'abc'"),
    (
        {"model": "resnet51"},
        None,
        "model 'resnet51' is not a torchvision classification model; known: alexnet",
    ),
    ({"weights": "start"}, None, "weights 'start' are neither"),
    ({"weights": "none/such.pth"}, None, "there is no weights file 'none/such.pth'"),
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
        "model vgg11 cannot see photos of 64 x 64 pixels (its feature map of 2 x 2 cannot be pooled to 7 x 7",
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
    assert code == 1 and words in failure(job) and words in out
    assert "\n" not in failure(job) and len(failure(job)) <= 1024 and "Traceback" not in out


def test_a_missing_root_is_told(capsys):
    assert main(["--root", "/nowhere/at/all"]) == 1
    assert "there is no folder '/nowhere/at/all'" in capsys.readouterr().err


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
    checkpoint["network"] = checkpoint["network"] | {
        "fc.weight": torch.full((3, 1024), float("nan"))
    }
    shutil.rmtree(job.checkpoints)
    job.checkpoints.mkdir()
    torch.save(checkpoint, job.checkpoints / "checkpoint.pt")  # of earlier versions: it has no seal
    code, _ = run_main(job, capsys)
    assert (
        code == 1
        and "the training loss became nan in epoch 3" in failure(job)
        and "the best so far, is kept" in failure(job)
    )
    assert read_description(job.model).accuracy["validation"] >= 0


@pytest.mark.skipif(
    os.getuid() != 0, reason="mounting a small disk and giving up root both need root"
)
@pytest.mark.parametrize("megabytes", [1, 4, 6])
def test_a_full_disk_is_one_clear_sentence(tmp_path, megabytes):
    """A real small disk, full while saving the checkpoint or the artifact, of which no half is left."""
    make_job(tmp_path / "job", {"train": 3, "validation": 1}, epochs=1)
    (tmp_path / "small").mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(tmp_path / "small")],
        check=True,
    )
    try:
        shutil.copytree(tmp_path / "job", tmp_path / "small" / "ml")
        done = subprocess.run(
            [sys.executable, "-m", "train", "--root", str(tmp_path / "small" / "ml")],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        left = list((tmp_path / "small" / "ml").glob("model/*"))
    finally:
        subprocess.run(["umount", str(tmp_path / "small")], check=True)
    assert (
        done.returncode == 1
        and "train: failed: the disk is full" in done.stderr
        and "Traceback" not in done.stderr
    ), done.stderr
    assert (
        ("is kept" in done.stderr) == (tmp_path / "small/ml/model/model.json" in left) == bool(left)
    ), (done.stderr, left)


class Midway(Stop):
    """Never asks to stop; does something once so many epochs are done."""

    def __init__(self, job: Job, epochs: int, act: Callable[[], object]):
        super().__init__()
        self.history, self.epochs, self.act = job.output_data / "history.csv", epochs, act

    def __call__(self) -> bool:
        if (
            self.act
            and self.history.exists()
            and len(self.history.read_text().splitlines()) > self.epochs
        ):
            self.act, act = None, self.act
            act()
        return False


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
    with pytest.raises(JobError, match=words) as caught:
        run(
            job,
            parse(job.hyperparameters()),
            Midway(job, 2, lambda: spoil(tmp_path / "input/data" / photo)),
        )
    description = read_description(job.model)
    assert f"photo '{tmp_path / 'input/data' / photo}'" in str(
        caught.value
    ) and "the best so far, is kept" in str(caught.value)
    assert 2 <= description.provenance["epochs"] <= 3 and open_engine(job.model, description)
    assert (job.checkpoints / "checkpoint-2.pt").exists()


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own on a folder, which keeps what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, but: int = 0) -> None:
    """Take the last byte of a disk, but for so many."""
    with (
        pytest.raises(OSError, match="No space"),
        (folder / "other").open("wb", buffering=0) as file,
    ):
        while True:
            file.write(bytes(4096))
    os.truncate(folder / "other", (folder / "other").stat().st_size - but)


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(
    "how, words",
    [
        (fill, "the disk is full"),
        (
            lambda folder: subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True),
            "no permission to read or write",
        ),
    ],
    ids=["full", "read-only"],
)
def test_checkpoints_that_can_no_longer_be_written_end_the_training_with_its_artifact(
    tmp_path, how, words
):
    job = make_job(tmp_path / "ml", {"train": 4, "validation": 2}, epochs=4)
    with small_disk(job.checkpoints, 40), pytest.raises(JobError, match=words) as caught:
        run(job, parse(job.hyperparameters()), Midway(job, 1, lambda: how(job.checkpoints)))
    assert "checkpoint-2.pt' could not be written; the artifact of epoch " in str(
        caught.value
    ) and "\n" not in str(caught.value)
    assert read_description(job.model).accuracy["validation"] >= 0


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_a_full_disk_of_checkpoints_gives_up_the_older_one_first(tmp_path):
    job = make_job(tmp_path / "ml", {"train": 4, "validation": 2}, epochs=3)
    with small_disk(job.checkpoints, 60):
        run(
            job,
            parse(job.hyperparameters()),
            Midway(job, 2, lambda: fill(job.checkpoints, 2_000_000)),
        )
        assert {path.name for path in job.checkpoints.iterdir()} == {
            "checkpoint-2.pt",
            "checkpoint-3.pt",
            "other",
        }


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_where_the_artifact_is_on_the_same_full_disk_no_half_of_it_is_left(tmp_path):
    with small_disk(tmp_path / "small", 60) as disk:
        job = make_job(disk / "ml", {"train": 4, "validation": 2}, epochs=4)
        words = "the disk is full.*checkpoint-2.pt' could not be written; the artifact of the best epoch, .* could not be written .the disk is full"
        with pytest.raises(JobError, match=words):
            run(job, parse(job.hyperparameters()), Midway(job, 1, lambda: fill(disk)))
        assert not list(job.model.iterdir()) and (job.checkpoints / "checkpoint-1.pt").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting needs root")
def test_no_write_permission_is_one_clear_sentence(tmp_path):
    make_job(tmp_path / "ml", {"train": 3, "validation": 1}, epochs=1)
    (tmp_path / "readonly").mkdir()
    subprocess.run(
        ["mount", "--bind", str(tmp_path / "ml"), str(tmp_path / "readonly")], check=True
    )
    subprocess.run(["mount", "-o", "remount,ro,bind", str(tmp_path / "readonly")], check=True)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "train", "--root", str(tmp_path / "readonly")],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["umount", str(tmp_path / "readonly")], check=True)
    assert (
        done.returncode == 1
        and "no permission to read or write" in done.stderr
        and "Traceback" not in done.stderr
    ), done.stderr


def test_a_validation_loss_that_is_no_number_ends_the_training(tmp_path, capsys):
    """One step of a huge rate: the training loss was still finite, the network is not."""
    job = make_job(tmp_path, {"train": 2, "validation": 2}, epochs=1, lr="1e30", optimizer="sgd")
    code, out = run_main(job, capsys)
    assert code == 1 and "the validation loss became" in failure(job) and "Traceback" not in out
    assert not list(job.checkpoints.iterdir()) and not (job.model / "model.json").exists()


def test_an_unused_channel_is_told(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 6, "vaildation": 2}, epochs=1)
    code, out = run_main(job, capsys)
    assert (
        code == 0 and "channel 'vaildation' is not used; known: train, training, validation" in out
    )
    assert "no validation or test channel: split off train" in out
