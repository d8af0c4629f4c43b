"""The torch engine: precisions, devices and weights, on tiny layers; nothing is trained."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from artifact.engines import torch_engine
from artifact.engines.nvidia import DeviceError
from artifact.engines.torch_engine import TorchEngine, _candidates, _probes, _started
from artifact.model import ArtifactError, Description
from artifact.networks.torch_network import load_network
from artifact.photos.preprocessing import Preprocessing

VALUES = Preprocessing(2, 2, mean=(0.1, 0.2, 0.4), std=(0.5, 0.2, 0.1))


def test_probes_go_from_one_patch_to_noise():
    probes = _probes(32)
    assert probes.shape == (8, 32, 32, 3)
    np.testing.assert_array_equal(probes, _probes(32))
    for index in range(6):
        patch = 32 >> index
        corners = probes[index, ::patch, ::patch]
        repeated = corners.repeat(patch, axis=0).repeat(patch, axis=1)
        np.testing.assert_array_equal(probes[index], repeated)
    assert len(np.unique(probes[0].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(probes[7].reshape(-1, 3), axis=0)) > 1000
    assert probes.min() == 0
    assert probes.max() == 255
    assert _probes(5).shape == (8, 5, 5, 3)


@pytest.mark.parametrize(
    "capability, expected",
    [((7, 5), ("f16", "f32")), ((8, 0), ("f16", "bf16", "f32")), ((9, 0), ("f16", "bf16", "f32"))],
)
def test_precisions_to_try_on_a_gpu(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert _candidates(torch.device("cuda", 0)) == expected


@pytest.mark.parametrize(
    "flags, expected",
    [
        ({"avx2", "avx512_bf16"}, ("bf16", "f32")),
        ({"amx_bf16"}, ("bf16", "f32")),
        ({"avx2"}, ("f32",)),
        ((), ("f32",)),
    ],
)
def test_precisions_to_try_on_a_processor(monkeypatch, flags, expected):
    monkeypatch.setattr("artifact.engines.torch_engine.processor_flags", lambda: frozenset(flags))
    assert _candidates(torch.device("cpu")) == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "xcuda", "CPU"])
def test_other_devices_are_refused(name):
    with pytest.raises(ValueError, match=f"cuda or cuda:<number>, found '{name}'"):
        _started(name)
    assert _started("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    "options, found",
    [({"max_batch": 0}, "found 'auto' and 0"), ({"precision": "int8"}, "found 'int8' and 64")],
)
def test_settings_are_checked_before_anything_is_opened(tmp_path, options, found):
    description = Description(("a", "b"), VALUES, "resnet18")
    with pytest.raises(ValueError, match=f"f16, bf16, f32 and max_batch 1 or more, {found}"):
        TorchEngine(tmp_path, description, device="cpu", **options)


@pytest.mark.parametrize(
    "difference, name, warnings", [(0.019, "f16", 0), (0.021, "f32", 1), (float("nan"), "f32", 1)]
)
def test_half_precision_is_taken_where_it_answers_alike(
    monkeypatch, caplog, difference, name, warnings
):
    answers = iter([0.5, 0.5 + difference])

    class Answering(nn.Module):
        def __init__(self, *arguments: object):
            super().__init__()

        @classmethod
        def of(cls, *arguments: object) -> "Answering":
            return cls()

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.full((1, 2), next(answers))

    monkeypatch.setattr("artifact.networks.probabilities.Probabilities", Answering)
    monkeypatch.setattr(torch_engine, "_candidates", lambda device: ("f16", "f32"))
    description = Description(("a", "b"), VALUES, "none")
    chosen = torch_engine._chosen(nn.Linear(1, 1), description, "auto", torch.device("cpu"))
    assert chosen[1] == name
    assert len(caplog.records) == warnings


def test_weights_that_are_missing_or_damaged_are_one_sentence(tmp_path):
    description = Description(("a", "b"), VALUES, "resnet18", (4,))
    with pytest.raises(ArtifactError, match=r"holds no model\.safetensors, which the torch engine"):
        load_network(tmp_path, description, torch.device("cpu"))
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match=r"model\.safetensors' cannot be read as weights"):
        load_network(tmp_path, description, torch.device("cpu"))


@pytest.mark.parametrize("error", [RuntimeError, ValueError, AssertionError])
def test_weights_of_another_network_are_one_short_sentence(tmp_path, monkeypatch, error):
    def failing(*arguments: object) -> None:
        raise error("\n  first \n" + "second " * 100 + "\nthird")

    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    monkeypatch.setattr("artifact.networks.torch_network._filled", failing)
    description = Description(("a", "b"), VALUES, "resnet18", (4,))
    with pytest.raises(ArtifactError) as caught:
        load_network(tmp_path, description, torch.device("cpu"))
    text = str(caught.value)
    assert "which says resnet18 with 2 classes and the head [4] (first second" in text
    assert "third" not in text
    assert len(text.partition(" (")[2]) == 301  # 300 of the error, and the bracket


def test_a_lack_of_memory_is_not_a_fault_of_the_weights(tmp_path, monkeypatch):
    def failing(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    monkeypatch.setattr("artifact.networks.torch_network._filled", failing)
    with pytest.raises(torch.OutOfMemoryError):
        load_network(tmp_path, Description(("a", "b"), VALUES, "x"), torch.device("cpu"))


@pytest.mark.parametrize("problem", ["", "too old"])
def test_a_gpu_is_started_or_named(monkeypatch, problem):
    settings: Any = SimpleNamespace(benchmark=False, allow_tf32=True)
    monkeypatch.setattr(torch.backends, "cudnn", settings)
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "T")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", list)
    monkeypatch.setattr("artifact.engines.nvidia.gpu_problem", lambda *found: problem)
    if problem:
        with pytest.raises(DeviceError, match="too old"):
            _started("cuda")
        return
    assert _started("cuda") == torch.device("cuda", 3)
    assert _started("cuda:1") == torch.device("cuda", 1)
    assert settings.benchmark is True
    assert settings.allow_tf32 is False
