"""Disks that are full or read-only while a training writes to them: real ones, small, mounted."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from artifact.model import read_description
from recipes.hyperparameters import parse
from tests.support.jobs import REPOSITORY, make_job
from tests.support.midway import Midway
from tests.support.warm_processes import run as run_warm
from train.job import Job, JobError
from train.run import run

pytestmark = [
    pytest.mark.training,
    pytest.mark.skipif(os.getuid() != 0, reason="mounting a disk needs root"),
]


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own on a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={megabytes}m"
    with mounted(folder, "-t", "tmpfs", "-o", size, "tmpfs", str(folder)):
        yield folder


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    subprocess.run(["mount", *arguments], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, free: int = 0) -> None:
    """Take all of a disk, but for this many bytes."""
    other = folder / "other"
    # Unbuffered: the error must come from this write.
    with pytest.raises(OSError, match="No space"), other.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(other, other.stat().st_size - free)


def make_read_only(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)


def train_at(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "train", "--root", str(root)]
    return run_warm(command, cwd=REPOSITORY)


def run_with(job: Job, stop: Midway) -> None:
    run(job, parse(job.hyperparameters()), stop)


# At each size another file no longer fits.
@pytest.mark.parametrize("megabytes", [1, 4, 6])
def test_a_full_disk_is_one_clear_sentence(tmp_path, megabytes):
    """Full while saving the checkpoint or the artifact, of which no half is left."""
    make_job(tmp_path / "job", {"train": 3, "validation": 1}, epochs=1)
    with small_disk(tmp_path / "small", megabytes) as disk:
        shutil.copytree(tmp_path / "job", disk / "ml")
        done = train_at(disk / "ml")
        # Read before the disk is gone.
        left = [path.name for path in (disk / "ml").glob("model/*")]
    assert done.returncode == 1, done.stderr
    assert "train: failed: the disk is full" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    is_kept = "is kept" in done.stderr
    assert is_kept == ("model.json" in left), (done.stderr, left)
    assert is_kept == bool(left), (done.stderr, left)


@pytest.mark.parametrize(
    "how, words",
    [(fill, "the disk is full"), (make_read_only, "no permission to read or write")],
    ids=["full", "read-only"],
)
def test_checkpoints_that_can_no_longer_be_written_end_the_training_with_its_artifact(
    tmp_path, how, words
):
    job = make_job(tmp_path / "ml", {"train": 4, "validation": 2}, epochs=4)
    with small_disk(job.checkpoints, 40), pytest.raises(JobError, match=words) as caught:
        run_with(job, Midway(job, 1, lambda: how(job.checkpoints)))
    sentence = str(caught.value)
    assert "checkpoint-2.pt' could not be written; the artifact of epoch " in sentence
    assert "\n" not in sentence
    assert read_description(job.model).accuracy["validation"] >= 0


def test_a_full_disk_of_checkpoints_gives_up_the_older_one_first(tmp_path):
    job = make_job(tmp_path / "ml", {"train": 4, "validation": 2}, epochs=3)
    with small_disk(job.checkpoints, 60):
        run_with(job, Midway(job, 2, lambda: fill(job.checkpoints, 2_000_000)))
        names = {path.name for path in job.checkpoints.iterdir()}
    assert names == {"checkpoint-2.pt", "checkpoint-3.pt", "other"}


def test_a_disk_too_full_for_the_artifact_gives_up_the_older_checkpoint(tmp_path, caplog):
    with small_disk(tmp_path / "small", 60) as disk:
        job = make_job(disk / "ml", {"train": 4, "validation": 2}, epochs=2)
        caplog.set_level("INFO")
        # Both checkpoints are there by then; what is free is less than the artifact takes.
        run_with(job, Midway(job, 2, lambda: fill(disk, 1_000_000)))
        assert read_description(job.model).accuracy["validation"] >= 0
        assert {path.name for path in job.checkpoints.iterdir()} == {"checkpoint-2.pt"}
    assert "older checkpoints were removed to make room for the artifact" in caplog.text


def test_where_the_artifact_is_on_the_same_full_disk_no_half_of_it_is_left(tmp_path):
    words = (
        "the disk is full.*checkpoint-2.pt' could not be written; "
        "the artifact of the best epoch, .* could not be written .the disk is full"
    )
    with small_disk(tmp_path / "small", 60) as disk:
        job = make_job(disk / "ml", {"train": 4, "validation": 2}, epochs=4)
        with pytest.raises(JobError, match=words):
            run_with(job, Midway(job, 1, lambda: fill(disk)))
        assert not list(job.model.iterdir())
        assert (job.checkpoints / "checkpoint-1.pt").exists()


def test_no_write_permission_is_one_clear_sentence(tmp_path):
    make_job(tmp_path / "ml", {"train": 3, "validation": 1}, epochs=1)
    folder = tmp_path / "readonly"
    folder.mkdir()
    with mounted(folder, "--bind", str(tmp_path / "ml"), str(folder)):
        # A bind mount takes `ro` only when it is mounted anew.
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        done = train_at(folder)
    assert done.returncode == 1, done.stderr
    assert "no permission to read or write" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
