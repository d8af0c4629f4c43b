"""The device of a training: a GPU that is here and cannot be used ends it before it begins."""

import os

import pytest

from tests.support.jobs import failure, make_job, run_main
from tests.support.planted_gpu import plant_nvidia_smi
from train.device import settle_device
from train.job import JobError


@pytest.fixture
def old_gpu(tmp_path, monkeypatch):
    """A host with a T4 whose driver is older than any CUDA that we build."""
    programs = plant_nvidia_smi(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_an_idle_gpu_ends_a_training_before_it_begins(tmp_path, capsys, old_gpu):
    job = make_job(tmp_path / "job", {"train": 1}, model="resnet18")
    code, _ = run_main(job, capsys)
    assert code == 1
    assert "the host's NVIDIA driver 470.57.02 is too old: torch carries CUDA" in failure(job)
    assert "(hyperparameter device=cpu)" in failure(job)


def test_the_processor_can_be_asked_for(monkeypatch, old_gpu):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    settle_device("cpu")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    settle_device("auto")


def test_a_gpu_that_is_asked_for_must_be_there(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(JobError, match="no NVIDIA driver is here"):
        settle_device("cuda")
