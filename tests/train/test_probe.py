"""A linear head beside every training, and a fine-tuning that starts from it."""

import json

import pytest
import torch

from artifact.text.numbers import percent
from tests.support.jobs import make_job, run_main
from train.job import Job
from train.recording.history import LINEAR_HEAD_FILE
from train.stop import Stop, deadlines

pytestmark = pytest.mark.training
INGREDIENTS = {
    "head_first": "true",
    "layer_decay": "0.7",
    "ema_decay": "0.9",
    "mixup": "0.2",
    "cutmix": "1",
    "accumulate": "2",
    "clip_gradients": "1",
    "random_erasing": "0.2",
    "augmentation": "trivial",
    "train_size": "32",
    "image_size": "64",
    "resize": "64",
    "flip_average": "true",
    "lr": "0.0005",
}


def linear_head(job: Job) -> dict:
    return json.loads((job.output_data / LINEAR_HEAD_FILE).read_text())


def test_random_weights_get_no_linear_head_and_it_is_said(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "validation": 2}, epochs=1)
    code, printed = run_main(job, capsys)
    assert code == 0, printed
    assert linear_head(job) == {"left_out": "the first weights are random"}
    assert "a linear head" not in printed


@pytest.mark.verify
def test_all_ingredients_together_go_on_with_the_same_bits(tmp_path, capsys):
    channels = {"train": 6, "validation": 3, "test": 2}
    whole = make_job(tmp_path / "whole", channels, **INGREDIENTS)
    code, printed = run_main(whole, capsys)
    assert code == 0, printed
    document = linear_head(whole)
    assert set(document["accuracy"]) == {"validation", "test"}
    reached = document["accuracy"]["test"]
    assert f"a linear head on the same backbone: {percent(reached)} of the test photos" in printed
    page = (whole.output_data / "report.html").read_text()
    assert "A linear head on the same backbone" in page
    killed = make_job(tmp_path / "killed", channels, **{**INGREDIENTS, "epochs": "1"})
    assert run_main(killed, capsys)[0] == 0
    texts = json.loads((whole.root / "input/config/hyperparameters.json").read_text())
    (killed.root / "input/config/hyperparameters.json").write_text(json.dumps(texts))
    (killed.output_data / LINEAR_HEAD_FILE).unlink()
    code, printed = run_main(killed, capsys)
    assert code == 0, printed
    assert "going on from the checkpoint of epoch 1" in printed
    assert linear_head(killed) == document
    ours = [_saved(job)["average"]["values"] for job in (whole, killed)]
    assert all(torch.equal(value, ours[1][name]) for name, value in ours[0].items())
    assert (whole.model / "model.safetensors").read_bytes() == (
        killed.model / "model.safetensors"
    ).read_bytes()


def _saved(job: Job) -> dict:
    return torch.load(job.checkpoints / "checkpoint-3.pt", weights_only=True)


@pytest.mark.verify
def test_the_time_limit_ends_learning_and_keeps_the_best_epoch(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "validation": 2}, epochs=100_000, time_limit_s=8)
    code, printed = run_main(job, capsys)
    assert code == 0, printed
    assert "time limit: learning ends after epoch" in printed
    assert (job.model / "model.json").is_file()


@pytest.mark.verify
def test_a_limit_before_the_first_epochs_end_is_an_error(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 4, "validation": 2}, time_limit_s=1)
    settings = job.root / "input/config/hyperparameters.json"
    texts = json.loads(settings.read_text())
    slow = {"model": "vgg16", "image_size": "224", "resize": "224"}  # seconds to draw its weights
    settings.write_text(json.dumps({**texts, **slow}))
    code, printed = run_main(job, capsys)
    assert code != 0
    assert "time_limit_s=1 ended before the first epoch did" in printed


def test_without_a_limit_the_requests_are_the_jobs_own():
    stop = Stop()
    assert deadlines(stop, 0.0, 0) == (stop, stop)
    learning, end = deadlines(stop, 0.0, 1)  # long ago
    assert learning()
    assert end.no_time_left()
    assert not stop()
