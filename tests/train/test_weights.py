"""First weights: where they come from, and the sentences for those that cannot be used."""

import pytest
import safetensors.torch
import torch

from artifact.network import build
from train.job import JobError
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
