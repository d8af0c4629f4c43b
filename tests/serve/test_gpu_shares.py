"""Several GPUs, and the workers that share them."""

import os
from types import SimpleNamespace

import pytest

from artifact.engines import nvidia
from serve.gpu_shares import GpuShares
from serve.settings import ServingSettings
from tests.support.planted_gpu import plant_driver_library


def fork(shares: GpuShares, arbiter: SimpleNamespace) -> SimpleNamespace:
    worker = SimpleNamespace()
    shares.before_fork(arbiter, worker)
    arbiter.WORKERS[len(arbiter.WORKERS)] = worker
    return worker


def test_workers_share_out_the_gpus_and_a_new_one_takes_the_free_gpu(monkeypatch):
    arbiter = SimpleNamespace(WORKERS={})
    shares = GpuShares(["0", "1", "GPU-5f"])
    assert [fork(shares, arbiter).gpu for _ in range(4)] == ["0", "1", "GPU-5f", "0"]
    del arbiter.WORKERS[1]
    worker = SimpleNamespace()
    shares.before_fork(arbiter, worker)
    assert worker.gpu == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,GPU-5f")
    shares.after_fork(arbiter, worker)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.fixture
def four_gpus(tmp_path, monkeypatch):
    library = plant_driver_library(tmp_path, 0, 4)
    monkeypatch.setattr(nvidia, "PROBE", nvidia.PROBE.replace(nvidia.LIBRARY, str(library)))
    monkeypatch.setattr(nvidia, "LIBRARY", str(library))
    monkeypatch.setattr(nvidia, "torch_cuda", lambda: "12.8")
    monkeypatch.setattr(nvidia, "driver_problem", lambda *_: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_there_is_a_worker_per_gpu(four_gpus, monkeypatch):
    settings = ServingSettings.read({})
    assert (settings.workers, settings.gpus) == (4, ("0", "1", "2", "3"))
    assert ServingSettings.read({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}).workers == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5f, GPU-60")
    assert ServingSettings.read({}).gpus == ("GPU-5f", "GPU-60")


@pytest.mark.parametrize(
    "name, value", [("SLIPWAY_DEVICE", "cpu"), ("SAGEMAKER_MULTI_MODEL", "true")]
)
def test_one_process_serves_where_no_gpu_is_shared(four_gpus, name, value):
    settings = ServingSettings.read({name: value})
    assert (settings.workers, settings.gpus) == (1, ())


def test_without_a_gpu_there_is_one_worker():
    assert ServingSettings.read({}).gpus == ()
