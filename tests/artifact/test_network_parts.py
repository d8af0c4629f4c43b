"""Parts of networks, export and the torch engine, on tiny layers; nothing is trained."""

import errno
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from artifact import export as exporting
from artifact import torch_engine
from artifact.export import ExportError, check_exportable, remove_artifact, write_graph
from artifact.model import ArtifactError, Description
from artifact.network import (
    Cast,
    Normalize,
    Probabilities,
    _arguments,
    _head,
    _last_layer,
    own_preprocessing,
    weights_entry,
)
from artifact.preprocessing import Preprocessing
from artifact.torch_engine import TorchEngine, _candidates, _probes, _started
from artifact.torch_network import load_network

VALUES = Preprocessing(2, 2, mean=(0.1, 0.2, 0.4), std=(0.5, 0.2, 0.1))


class FirstRow(nn.Module):
    """Logits: the first two samples of the first channel."""

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples[:, 0, 0, :]


def test_samples_are_normalised_by_channel():
    samples = torch.full((1, 3, 1, 1), 51.0)  # 0.2 of 255
    found = Normalize(VALUES)(samples)
    assert found.flatten().tolist() == pytest.approx([0.2, 0.0, -2.0], abs=1e-6)


@pytest.mark.parametrize(
    "temperature, multi_label, expected",
    [
        (1.0, False, [0.880797, 0.119203]),
        (2.0, False, [0.731059, 0.268941]),
        (1.0, True, [0.858149, 0.450166]),
    ],
)
def test_logits_become_probabilities(temperature, multi_label, expected):
    model = Probabilities(FirstRow(), VALUES, temperature, multi_label)
    # 0.1 + 0.5 x logit, of 255: the logits are 1.8 and -0.2
    pixels = torch.tensor([[[[255, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]], dtype=torch.uint8)
    assert model(pixels).tolist() == [pytest.approx(expected, abs=1e-6)]
    assert model(pixels.repeat(3, 1, 1, 1)).shape == (3, 2)


def test_a_cast_network_takes_and_gives_float32():
    cast = Cast(nn.Linear(2, 1), torch.bfloat16)
    assert cast.network.weight.dtype is torch.bfloat16
    assert cast(torch.ones(1, 2)).dtype is torch.float32


@pytest.mark.parametrize(
    "architecture, expected",
    [
        ("googlenet", {"aux_logits": False, "transform_input": True, "init_weights": True}),
        ("inception_v3", {"aux_logits": False, "transform_input": True, "init_weights": True}),
        ("vit_b_16", {"image_size": 96}),
        ("maxvit_t", {"input_size": (96, 96)}),
        ("resnet18", {}),
    ],
)
def test_networks_with_arguments_of_their_own(architecture, expected):
    assert _arguments(architecture, 96) == expected


def test_the_last_layer_is_linear_where_there_is_one():
    mixed = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Conv2d(1, 1, 1))
    assert _last_layer(mixed) == "1"
    assert _last_layer(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1), nn.ReLU())) == "1"


@pytest.mark.parametrize(
    "last, hidden, expected",
    [
        (nn.Linear(8, 1000), (), ["Linear 8 3"]),
        (nn.Linear(8, 1000), (5, 4), ["Linear 8 5", "ReLU", "Linear 5 4", "ReLU", "Linear 4 3"]),
        (nn.Conv2d(8, 1000, 1), (5,), ["Conv2d 8 5", "ReLU", "Conv2d 5 3"]),
    ],
)
def test_a_head_has_layers_of_the_kind_that_it_replaces(last, hidden, expected):
    made = _head(last, 3, hidden)
    layers = list(made) if isinstance(made, nn.Sequential) else [made]
    found = []
    for layer in layers:
        name = type(layer).__name__
        if isinstance(layer, nn.Linear):
            name += f" {layer.in_features} {layer.out_features}"
        elif isinstance(layer, nn.Conv2d):
            name += f" {layer.in_channels} {layer.out_channels}"
            assert layer.kernel_size == (1, 1)
        found.append(name)
    assert found == expected


def test_published_weights_are_found_by_name():
    assert weights_entry("resnet50").name == "IMAGENET1K_V2"
    assert weights_entry("resnet50", "IMAGENET1K_V1").name == "IMAGENET1K_V1"
    with pytest.raises(ValueError) as caught:
        weights_entry("resnet50", "V9")
    known = "IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT"
    assert str(caught.value) == f"weights 'V9' are not published for resnet50; known: {known}"
    assert own_preprocessing("resnet50") == Preprocessing(232, 224, "bilinear")
    assert own_preprocessing("resnet50", "IMAGENET1K_V1").resize == 256


@pytest.mark.parametrize(
    "side, sizes, words",
    [
        (8, (4, 2), None),
        (7, (7, 7), None),
        (6, (4, 3), "its feature map of 6 x 6 cannot be pooled to 4 x 3 in ONNX"),
        (6, (3, 4), "its feature map of 6 x 6 cannot be pooled to 3 x 4 in ONNX"),
    ],
)
@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d])
def test_a_pool_that_onnx_cannot_express_is_found_before_the_training(side, sizes, words, pool):
    network = nn.Sequential(pool(sizes)).train()
    if words:
        with pytest.raises(ExportError, match=words):
            check_exportable(network, side)
    else:
        check_exportable(network, side)
    assert not network.training
    assert not network[0]._forward_hooks


def test_an_artifact_is_removed_and_other_files_stay(tmp_path):
    ours = {"model.json", "model.onnx", "model.safetensors", "model.int8.xml", "model.int8.bin"}
    for name in (*ours, ".model.onnx.x.slipway-tmp", "notes.txt"):
        (tmp_path / name).touch()
    remove_artifact(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    remove_artifact(tmp_path / "gone")


@pytest.mark.parametrize(
    "text, error, words",
    [
        ("Error: I/O error: No space (os error 28)", OSError, "No space left on device"),
        ("Error: a bad tensor", safetensors.SafetensorError, "a bad tensor"),
    ],
)
def test_the_systems_error_is_found_in_the_librarys(tmp_path, monkeypatch, text, error, words):
    def failing(*arguments: object) -> None:
        raise safetensors.SafetensorError(text)

    monkeypatch.setattr(safetensors.torch, "save_file", failing)
    with pytest.raises(error, match=words) as caught:
        exporting._write_weights(nn.Linear(1, 1), tmp_path / "weights")
    if isinstance(caught.value, OSError):
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(tmp_path / "weights")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("fused", [True, False])
def test_writing_a_graph_leaves_attention_as_it_was(fused):
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(fused)
        file = io.BytesIO()
        write_graph(Probabilities(FirstRow(), VALUES), np.zeros((1, 2, 2, 3), np.uint8), file)
        assert torch.backends.mha.get_fastpath_enabled() is fused
        assert b"pixels" in file.getvalue()
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize(
    "difference, fails", [(0.0, False), (0.001, False), (0.0011, True), (float("nan"), True)]
)
def test_an_export_may_differ_by_rounding(tmp_path, monkeypatch, difference, fails):
    monkeypatch.setattr(exporting, "_write_weights", lambda network, path: path.touch())
    monkeypatch.setattr(exporting, "write_graph", lambda model, sample, file: None)
    monkeypatch.setattr(exporting, "_difference", lambda *arguments: difference)
    description = Description(("a", "b"), VALUES, "none")
    samples = np.zeros((4, 2, 2, 3), np.uint8)
    (tmp_path / "model.json").write_text("of an earlier training")
    (tmp_path / "model.int8.bin").touch()
    (tmp_path / ".left.slipway-tmp").touch()
    if fails:
        with pytest.raises(ExportError, match=r"on 4 photos \(at most 0.001 is rounding\)"):
            exporting.export(FirstRow(), description, tmp_path, samples)
        assert not any(tmp_path.iterdir())
        return
    assert exporting.export(FirstRow(), description, tmp_path, samples) == difference
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model.json", "model.onnx", "model.safetensors"}


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
    "capabilities, expected",
    [
        ({"avx512_bf16": True}, ("bf16", "f32")),
        ({"amx_bf16": True, "bf16": False}, ("bf16", "f32")),
        ({"bf16": True}, ("bf16", "f32")),
        ({"avx512_bf16": False}, ("f32",)),
        ({}, ("f32",)),
    ],
)
def test_precisions_to_try_on_a_processor(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
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

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.full((1, 2), next(answers))

    monkeypatch.setattr("artifact.network.Probabilities", Answering)
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
    monkeypatch.setattr("artifact.torch_network._filled", failing)
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
    monkeypatch.setattr("artifact.torch_network._filled", failing)
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
    monkeypatch.setattr(torch_engine, "gpu_problem", lambda *found: problem)
    if problem:
        with pytest.raises(torch_engine.DeviceError, match="too old"):
            _started("cuda")
        return
    assert _started("cuda") == torch.device("cuda", 3)
    assert _started("cuda:1") == torch.device("cuda", 1)
    assert settings.benchmark is True
    assert settings.allow_tf32 is False
