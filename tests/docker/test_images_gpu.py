"""The GPU serving image in a real engine, on this machine's CPU. Needs Docker."""

import json
import subprocess

import pytest

from artifact.engines.nvidia import torch_cuda
from runtime.container_engine import DockerEngine
from runtime.docker import THREADS
from runtime.own_images import serve
from tests.artifact.test_artifact import small_artifact
from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.docker
ASK = """
import sys
import numpy as np
from artifact.engines.choice import open_engine
from artifact.model import read_description
from artifact.engines.nvidia import DeviceError, use_gpu
from artifact.engines.torch_engine import TorchEngine
import serve.app, prometheus_client, uvicorn_worker
assert not use_gpu() and "torch" not in sys.modules
description = read_description("/opt/ml/model")
pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
engine = TorchEngine("/opt/ml/model", description, "f32", "cpu", 4)
plain = open_engine("/opt/ml/model", description, "f32")
print(float(np.abs(engine.run(pixels) - plain.run(pixels)).max()))
try:
    TorchEngine("/opt/ml/model", description)
except DeviceError as error:
    print(error)
"""


def inspect(image: str) -> dict:
    return json.loads(
        subprocess.run(
            ["docker", "image", "inspect", image], capture_output=True, text=True, check=True
        ).stdout
    )[0]


def test_it_adds_little_to_the_training_image(images):
    train, gpu = inspect("slipway-train"), inspect("slipway-serve-gpu")
    layers = train["RootFS"]["Layers"]
    assert gpu["RootFS"]["Layers"][: len(layers)] == layers
    assert 0 < gpu["Size"] - train["Size"] < 30e6


def test_it_says_what_it_is(images):
    config = inspect("slipway-serve-gpu")["Config"]
    for capability in ("accept-bind-to-port", "multi-models"):
        assert config["Labels"][f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"
    for setting in (
        "SLIPWAY_COMMAND=serve",
        "SAGEMAKER_TRAINING_MODULE=",
        "NVIDIA_VISIBLE_DEVICES=all",
    ):
        assert setting in config["Env"]
    assert "8080/tcp" in config["ExposedPorts"]


@pytest.mark.skipif(torch_cuda() is None, reason="no torch with CUDA outside of the containers")
def test_its_torch_is_that_of_the_tests(images):
    done = subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            "slipway-serve-gpu",
            "python",
            "-c",
            "from artifact.engines.nvidia import torch_cuda; print(torch_cuda())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == torch_cuda()


def test_the_torch_engine_answers_in_it(images, tmp_path):
    small_artifact(tmp_path)
    tmp_path.chmod(0o755)
    done = subprocess.run(
        [
            "docker",
            "run",
            "--rm",
            *THREADS,
            "--read-only",
            "--tmpfs",
            "/tmp",
            "--network",
            "none",
            "-v",
            f"{tmp_path}:/opt/ml/model:ro",
            "slipway-serve-gpu",
            "python",
            "-c",
            ASK,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    difference, sentence = done.stdout.splitlines()
    assert float(difference) < 1e-4
    assert "no NVIDIA driver is here" in sentence


def test_without_a_gpu_it_serves_all_the_same(images, tmp_path):
    small_artifact(tmp_path)
    with serve(DockerEngine(), tmp_path, "slipway-serve-gpu") as url:
        assert url.startswith("http://127.0.0.1:")  # ready: it answered /ping


def test_an_unknown_image_names_the_known():
    done = subprocess.run(
        [REPOSITORY / "docker/build.sh", "serve-tpu"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "unknown image 'serve-tpu'; known: " in done.stderr
    assert "serve-gpu" in done.stderr
