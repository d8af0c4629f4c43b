"""Training jobs in our image that fail or are stopped. Needs Docker."""

import shutil
from pathlib import Path

import pytest

from artifact.model import read_description
from tests.support.image_jobs import docker, job_for, stop_at

pytestmark = pytest.mark.docker


def test_a_failed_job_leaves_one_sentence_and_a_code(images, tmp_path):
    root = job_for(tmp_path, lr="abc")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    failure = (root / "output" / "failure").read_text()
    assert done.returncode == 1
    assert "lr must be a number; found 'abc'" in failure
    assert "\n" not in failure
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failure_that_cannot_be_written_still_fails_the_job(images, tmp_path):
    """Where the toolkit itself would leave with 0: no place for its failure file."""
    root = job_for(tmp_path, lr="abc")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml:ro", images["train"], "train")
    assert done.returncode != 0, done.stdout + done.stderr


def test_docker_stop_leaves_the_artifact(images, tmp_path):
    root = job_for(tmp_path, epochs=5000)
    code, seconds = stop_at(images["train"], root, "epoch=2")
    assert code == 0
    assert seconds < 30
    assert read_description(root / "model").provenance["best_epoch"] >= 1


def test_a_small_full_disk_in_the_container(images, tmp_path):
    """Checkpoints that do not fit: one sentence, a code, no hang."""
    root = job_for(tmp_path, epochs=1)
    done = docker(
        "run",
        "--rm",
        "-v",
        f"{root}:/opt/ml",
        "--tmpfs",
        "/opt/ml/checkpoints:size=1m",
        images["train"],
        "train",
    )
    assert done.returncode == 1
    assert "the disk is full" in (root / "output" / "failure").read_text()


def job_without(missing: str, folder: Path) -> Path:
    """A job without this configuration file and without its output folder."""
    root = job_for(folder, epochs=1)
    (root / "input/config" / missing).unlink()
    shutil.rmtree(root / "output")
    return root


@pytest.mark.parametrize("missing", ["resourceconfig.json", "inputdataconfig.json"])
def test_a_missing_configuration_file_never_looks_like_success(images, tmp_path, missing):
    root = job_without(missing, tmp_path)
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 1, done.stdout + done.stderr
    assert missing in done.stderr
    assert missing in (root / "output" / "failure").read_text()


def test_nor_does_it_where_nothing_can_be_written(images, tmp_path):
    root = job_without("resourceconfig.json", tmp_path)
    options = ("--read-only", "--tmpfs", "/tmp", "-v", f"{root}:/opt/ml:ro")
    done = docker("run", "--rm", *options, images["train"], "train")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no permission to read or write" in done.stderr
    assert "Traceback" not in done.stderr
