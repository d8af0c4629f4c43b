"""Trainings that are stopped, killed and started again."""

import json
import re
import shutil
import signal
import time

import numpy as np
import pytest
import safetensors.numpy
import torch

from artifact.engines.choice import open_engine
from artifact.model import read_description
from tests.support.jobs import failure, make_job, run_main, train_job
from tests.support.processes import ended, read_until, start
from train.job import Job

pytestmark = pytest.mark.training


def newest_checkpoint(job: Job):
    paths = job.checkpoints.glob("checkpoint-*.pt")
    # By number: epoch 10 comes after 9.
    newest = max(paths, key=lambda path: int(path.stem.partition("-")[2]))
    return torch.load(newest, weights_only=True)


def change_hyperparameters(job: Job, **values: str) -> None:
    config = job.root / "input/config/hyperparameters.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | values))


# The signal may come before the first epoch.
@pytest.mark.parametrize("moment", ["photos:", "epoch=2"], ids=["loading", "training"])
def test_sigterm_saves_and_leaves_with_the_artifact(tmp_path, moment):
    job = make_job(tmp_path, {"train": 20, "validation": 2, "test": 2}, epochs=500)
    process = start(job, 1)
    read_until(process, moment)
    process.send_signal(signal.SIGTERM)
    asked_at = time.monotonic()
    code, rest = ended(process, timeout_s=30)
    assert code == 0, rest
    assert "stop requested" in rest
    assert time.monotonic() - asked_at < 30
    description = read_description(job.model)
    # It did not run to its end.
    assert description.provenance["epochs"] < 500
    untrained = description.provenance["epochs"] == 0
    assert ("untrained" in description.provenance) == untrained
    report = (job.output_data / "report.html").read_text()
    for said in (rest, report):
        assert ("has learnt nothing" in said) == untrained
    assert open_engine(job.model, description)
    if moment == "epoch=2":
        assert newest_checkpoint(job)["epoch"] >= 2


def test_a_stop_between_two_checkpoints_saves_the_last_whole_epoch(tmp_path):
    # The next regular checkpoint would be that of epoch 400.
    job = make_job(tmp_path, {"train": 20, "validation": 2}, epochs=500, checkpoint_frequency=400)
    process = start(job, 1)
    read_until(process, "epoch=3")
    process.send_signal(signal.SIGTERM)
    code, rest = ended(process, timeout_s=30)
    assert code == 0, rest
    saved = newest_checkpoint(job)
    assert saved["epoch"] == len(saved["history"])
    assert saved["epoch"] >= 3


def test_kill_9_leaves_a_checkpoint_to_go_on_from(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 10, "validation": 2}, epochs=6)
    process = start(job, 1)
    read_until(process, "epoch=3")
    process.kill()
    process.communicate()
    code, out = run_main(job, capsys)
    assert code == 0, out
    assert re.search("going on from the checkpoint of epoch [2345]", out)
    assert "epoch=6" in out


def test_training_goes_on_from_its_checkpoint_as_if_never_interrupted(tmp_path, capsys):
    """The interrupted job ends with the very weights of the uninterrupted one."""
    photos = {"train": 5, "validation": 2, "test": 2}
    settings = {"augmentation": "strong", "schedule": "plateau"}
    whole = make_job(tmp_path / "whole", photos, epochs=4, **settings)
    parts = make_job(tmp_path / "parts", photos, epochs=2, **settings)
    train_job(whole)
    train_job(parts)
    capsys.readouterr()
    # The weights must come from the checkpoint, not from the earlier artifact.
    shutil.rmtree(parts.model)
    change_hyperparameters(parts, epochs="4")
    code, out = run_main(parts, capsys)
    assert code == 0, out
    assert "going on from the checkpoint of epoch 2" in out
    assert "epoch=1 " not in out
    assert "epoch=3 " in out
    weights = safetensors.numpy.load_file(parts.model / "model.safetensors")
    expected = safetensors.numpy.load_file(whole.model / "model.safetensors")
    for name in expected:
        np.testing.assert_array_equal(weights[name], expected[name], err_msg=name)


def test_another_jobs_checkpoint_is_refused(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 5, "validation": 2, "test": 2}, epochs=1)
    train_job(job)
    change_hyperparameters(job, model="squeezenet1_1")
    code, _ = run_main(job, capsys)
    assert code == 1
    words = "of another training: its model is 'shufflenet_v2_x0_5', this job's 'squeezenet1_1'"
    assert words in failure(job)


def test_a_finished_job_started_again_trains_no_more(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "test": 2}, epochs=1)
    train_job(job)
    capsys.readouterr()
    code, out = run_main(job, capsys)
    assert code == 0, out
    assert "epoch=" not in out
    assert "test_accuracy" in out


def test_a_damaged_checkpoint_is_named(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4}, epochs=1)
    job.checkpoints.mkdir()
    (job.checkpoints / "checkpoint.pt").write_bytes(b"torn")
    code, _ = run_main(job, capsys)
    assert code == 1
    assert "checkpoint.pt' is not a checkpoint (" in failure(job)
    assert "; empty the checkpoints folder" in failure(job)
