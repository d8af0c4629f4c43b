"""Checkpoints: killed at any moment and started again, a job ends as one never killed; torn and foreign ones are told from whole ones."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest
import torch

from conftest import REPOSITORY, failure, make_job, run_main, train_job
from train.job import Job

PLAIN = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
TRAININGS = [
    {"optimizer": "adamw", "augmentation": "strong", "schedule": "plateau", "lr_scheduler_patience": 1, "early_stopping": "true",
     "early_stopping_min_epochs": 2, "early_stopping_patience": 2, "epochs": 9},
    {"model": "squeezenet1_1", "image_size": 36, "optimizer": "sgd", "lr": "0.01", "augmentation": "crop", "schedule": "cosine", "epochs": 4},  # has dropout
    {"trainable": "conv5", "feature_views": 2, "augmentation": "crop", "checkpoint_frequency": 2, "epochs": 5},
]


def outcome(job: Job) -> dict:
    """All that a job leaves, but for times."""
    rows = list(csv.DictReader((job.output_data / "history.csv").read_text().splitlines()))
    metrics = json.loads((job.output_data / "metrics.json").read_text())
    return {"history": [{name: value for name, value in row.items() if name != "seconds"} for row in rows],
            "metrics": {name: value for name, value in metrics.items() if name != "seconds"},
            "predictions": (job.output_data / "predictions.csv").read_bytes(), "description": json.loads((job.model / "model.json").read_text()),
            "weights": (job.model / "model.safetensors").read_bytes(), "graph": (job.model / "model.onnx").read_bytes()}


@pytest.fixture(scope="module")
def kill():
    """kill(job, kills, seed): run a job to its end in spite of so many kills; its exit code and where they hit."""
    with subprocess.Popen([sys.executable, "tests/killing.py"], cwd=REPOSITORY, env=PLAIN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killer:
        def ask(job: Job, kills: int, seed: int = 0) -> dict:
            killer.stdin.write(f"{job.root} {kills} {seed}\n")
            killer.stdin.flush()
            return json.loads(killer.stdout.readline())

        yield ask
        killer.stdin.close()


@pytest.mark.parametrize("settings", TRAININGS, ids=["plateau-early-stop", "dropout-sgd", "kept-features"])
def test_killed_at_any_moment_a_job_ends_as_one_never_killed(tmp_path, kill, settings):
    """Real SIGKILLs: while a checkpoint, the artifact and the history are being written, and at random moments."""
    job = make_job(tmp_path, {"train": 6, "validation": 3, "test": 2}, **settings)
    assert kill(job, 0)["code"] == 0
    unharmed = outcome(job)
    for folder in (job.model, job.output_data, job.checkpoints):
        shutil.rmtree(folder)
    result = kill(job, 5, seed=len(settings))
    assert result["code"] == 0, (job.root / "log").read_text()[-2000:]
    assert len(result["hits"]) >= 2 and any("slipway-tmp" in name for hit in result["hits"] for name in hit["left"])
    harmed = outcome(job)
    for part in unharmed:
        assert harmed[part] == unharmed[part], part
    assert not list(job.root.rglob("*slipway-tmp")) and 1 <= len(list(job.checkpoints.iterdir())) <= 2
    assert "going on from the checkpoint" in (job.root / "log").read_text()
