"""Parts of networks and of the export, on tiny layers; nothing is trained."""

import errno
import io

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from artifact import export as exporting
from artifact.export import ExportError, check_exportable, remove_artifact, write_graph
from artifact.model import Description
from artifact.networks.network import (
    Cast,
    Normalize,
    _arguments,
    _head,
    _last_layer,
    own_preprocessing,
    weights_entry,
)
from artifact.networks.probabilities import Probabilities
from artifact.photos.preprocessing import Preprocessing

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
        exporting._write_weights(nn.Linear(1, 1).state_dict(), tmp_path / "weights")
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
