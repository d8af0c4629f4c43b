"""First weights: where they come from, and the sentences for those that cannot be used."""

import argparse

import numpy as np
import pytest
import safetensors.torch
import torch

from artifact.networks.network import build, put_values
from train.job import JobError
from train.model.known_models import choice_words, published_name
from train.model.weight_files import read_weights
from train.model.weight_folder import only_weights_file
from train.model.weights import load_weights


def test_weights_come_from_a_channel_with_any_head(tmp_path):
    torch.manual_seed(5)
    source = build("resnet18", 1000)
    for name, save in (("a.pth", torch.save), ("b.safetensors", safetensors.torch.save_file)):
        folder = tmp_path / name
        folder.mkdir()
        save(source.state_dict(), folder / name)
        network = build("resnet18", 3, (8,))
        load_weights(network, "resnet18", "start", {"start": folder})
        assert_same(network, source, "layer1.0.conv1.weight")
    network = build("resnet18", 1000)
    load_weights(network, "resnet18", str(tmp_path / "a.pth" / "a.pth"), {})
    assert_same(network, source, "fc.weight")


def assert_same(network: torch.nn.Module, source: torch.nn.Module, name: str) -> None:
    assert torch.equal(network.get_parameter(name), source.get_parameter(name))


def test_imagenet_weights_are_read_from_torch_home(tmp_path, monkeypatch):
    """The file that the image bakes in, under the name that torchvision publishes it by."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(5)
    source = build("resnet18", 1000)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(source.state_dict(), tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    network = build("resnet18", 3)
    assert "IMAGENET1K_V1" in load_weights(network, "resnet18", "imagenet", {}).words
    assert_same(network, source, "conv1.weight")


@pytest.mark.parametrize(
    "weights, words",
    [
        ("gone.pth", "the weights file 'gone.pth' does not exist"),
        ("magic", "neither imagenet, none, a channel"),
        ("IMAGENET1K_V9", "not published for resnet18; known: IMAGENET1K_V1"),
        ("empty", "must hold one weights file"),
        ("text", "is not a file of weights"),
        ("vgg", "does not fit model resnet18"),
        ("number", "holds no weights"),
    ],
)
def test_weights_that_cannot_be_used_are_one_clear_sentence(tmp_path, weights, words):
    channels = {name: tmp_path / name for name in ("empty", "text", "vgg", "number")}
    for folder in channels.values():
        folder.mkdir()
    (channels["text"] / "w.pth").write_text("hello")
    torch.save(build("squeezenet1_1", 2).state_dict(), channels["vgg"] / "w.pth")
    torch.save(3, channels["number"] / "w.pth")
    with pytest.raises(JobError, match=words) as caught:
        load_weights(build("resnet18", 3), "resnet18", weights, channels)
    assert "\n" not in str(caught.value)


def test_weights_that_can_be_had_nowhere_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # whatever network the tests run in
    with pytest.raises(JobError, match="bake them into the image.*weights=none"):
        load_weights(build("resnet18", 3), "resnet18", "imagenet", {})


@pytest.mark.parametrize(
    "model, trainable, weights, name",
    [
        ("resnet50", "head", "imagenet", "IMAGENET1K_V1"),
        ("resnet50", "all", "imagenet", "IMAGENET1K_V2"),
        ("resnet50", "layer4", "imagenet", "IMAGENET1K_V2"),
        ("resnet50", "head", "IMAGENET1K_V2", "IMAGENET1K_V2"),
        ("resnet50", "head", "none", "DEFAULT"),
        ("vit_h_14", "head", "imagenet", "IMAGENET1K_SWAG_E2E_V1"),
        ("timm/resnet50", "head", "imagenet", "tv_in1k"),
        ("timm/resnet50", "all", "imagenet", "a1_in1k"),
        ("timm/resnet50", "head", "a1_in1k", "a1_in1k"),
        ("timm/resnet50.b2k_in1k", "head", "imagenet", "b2k_in1k"),
        ("timm/tf_efficientnet_lite0", "head", "imagenet", "in1k"),
    ],
)
def test_a_frozen_backbone_takes_the_plain_recipe(model, trainable, weights, name):
    assert published_name(model, weights, trainable) == name
    chosen = name in ("IMAGENET1K_V1", "tv_in1k")
    assert bool(choice_words(model, weights, trainable)) is chosen


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "args": argparse.Namespace(lr=0.1)},
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"state_dict": {f"module.{n}": v for n, v in state.items()}},
        lambda state: {f"_orig_mod.{n}": v for n, v in state.items()},
        lambda state: {
            "state_dict": {
                **{f"model._orig_mod.{n}": v for n, v in state.items()},
                "loss.weight": torch.ones(3),
            },
            "hyper_parameters": {"lr": 0.1},
        },
    ],
    ids=["plain", "model", "model_state_dict", "module", "_orig_mod", "lightning"],
)
@pytest.mark.parametrize("name", ["w.ckpt", "w.pth.tar", "w.bin"])
def test_checkpoints_of_training_scripts_are_taken(tmp_path, wrap, name):
    source = {"layer.weight": torch.ones(1), "layer.bias": torch.ones(2)}
    torch.save(wrap(source), tmp_path / name)
    assert only_weights_file(tmp_path) == tmp_path / name
    assert read_weights(tmp_path / name).keys() == source.keys()


class Code:
    """What a weights file may not hold."""


@pytest.mark.parametrize(
    "content, words",
    [
        ({"weights": Code()}, "holds a tests.train.test_weights.Code, and reading that could run"),
        (torch.nn.Linear(1, 1), "holds a torch.nn.modules.linear.Linear, and reading that could"),
        ({"best": np.float64(3)}, "holds a numpy._core.multiarray.scalar, and reading"),
        (None, r"is not a file of weights \(damaged, or not written by torch.save\)"),
    ],
)
def test_refusals_are_sentences_of_ours(tmp_path, content, words):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    if content is None:
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(JobError, match=words) as caught:
        read_weights(path)
    assert "weights_only" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_without_values_are_named_as_such(tmp_path):
    network = build("squeezenet1_1", 2)
    state = network.state_dict()
    state["features.3.squeeze.bias"][0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(JobError, match=r"\(NaN or infinite\), first in 'features.3.squeeze.bias'"):
        load_weights(network, "squeezenet1_1", str(tmp_path / "w.pth"), {})


def test_a_network_that_asks_for_the_version_of_its_form_is_put_back():
    """MNASNet: it asserts one, and a plain dict has none."""
    network = build("mnasnet0_5", 2)
    put_values(network, dict(network.state_dict()), strict=False)
    name = "layers.0.weight"
    with pytest.raises(RuntimeError):
        put_values(network, {name: torch.ones(1)}, strict=False)
