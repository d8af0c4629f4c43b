"""The head of an earlier artifact: rows of the classes that both have, and words on the rest."""

import logging

import pytest
import torch

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.channels import read_channels
from train.job import JobError
from train.model.incremental import EarlierArtifact, load_earlier_weights
from train.result.build_artifact import UNCALIBRATED, _or_without, _outright
from train.result.some_photos import spread

OLD = ("a", "b", "c")
NEW = ("c", "d", "a")


class Headed(torch.nn.Module):
    """A body of one value and a head of three classes, with a hidden layer where asked."""

    head_name = "head"

    def __init__(self, hidden: bool = False) -> None:
        super().__init__()
        self.body = torch.nn.Linear(1, 1, bias=False)
        self.head: torch.nn.Module = torch.nn.Linear(1, 3)
        if hidden:
            last = torch.nn.Linear(2, 3)
            self.head = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), last)


def earlier(network: Headed, head: tuple[int, ...] = ()) -> EarlierArtifact:
    """An artifact of the network's shapes; each value of the last layer is its row's number."""
    weights = {name: torch.ones_like(value) for name, value in network.state_dict().items()}
    last = "head.2" if head else "head"
    weights[f"{last}.weight"] = torch.arange(3.0)[:, None].expand_as(weights[f"{last}.weight"])
    weights[f"{last}.bias"] = torch.arange(3.0)
    provenance = {"weights": "random", "git_commit": "abc", "epochs": 9}
    description = Description(
        OLD, Preprocessing(), "resnet18", head, accuracy={"test": 0.5}, provenance=provenance
    )
    return EarlierArtifact(description, weights, "f" * 64)


@pytest.mark.parametrize("head", [(), (2,)])
def test_rows_of_the_same_classes_are_taken_over_by_name(caplog, head):
    caplog.set_level(logging.INFO)
    network = Headed(bool(head))
    layer = network.get_submodule("head.2" if head else "head")
    fresh = layer.get_parameter("bias").detach().clone()
    source = load_earlier_weights(network, Hyperparameters(head=head), earlier(network, head), NEW)
    bias = layer.get_parameter("bias").tolist()
    # c is first now, d is new, a is last.
    assert bias == [2.0, fresh[1].item(), 0.0]
    assert layer.get_parameter("weight")[2].tolist() == [0.0] * (2 if head else 1)
    assert network.body.weight.item() == 1.0
    assert caplog.messages == [
        "head: 2 of 3 classes are taken over from the earlier artifact, 1 start fresh, "
        "1 of its classes are gone"
    ]
    assert source.words == (
        "the earlier artifact in the channel 'model' (resnet18, 3 classes, SHA-256 ffffffffffff)"
    )
    assert source.fingerprint == "f" * 64
    assert source.earlier == {
        "fingerprint": "f" * 64,
        "classes": 3,
        "classes_taken_over": 2,
        "accuracy": {"test": 0.5},
        "weights": "random",
        "git_commit": "abc",
    }


def test_a_head_of_other_layers_starts_fresh(caplog):
    caplog.set_level(logging.INFO)
    network = Headed()
    before = network.head.get_parameter("bias").detach().clone()
    # Behind another hidden layer the last layer's rows mean something else.
    other = earlier(Headed(hidden=True), (2,))
    source = load_earlier_weights(network, Hyperparameters(), other, NEW)
    assert torch.equal(network.head.get_parameter("bias"), before)
    assert source.earlier["classes_taken_over"] == 0
    assert caplog.messages == [
        "head: starts fresh, for its hidden layers are not those of the earlier artifact"
    ]


@pytest.mark.parametrize("rows", [2, 4])
def test_a_head_of_another_number_of_rows_is_refused(rows):
    network = Headed()
    damaged = earlier(network)
    damaged.weights["head.bias"] = torch.zeros(rows)
    with pytest.raises(JobError) as caught:
        load_earlier_weights(network, Hyperparameters(), damaged, NEW)
    assert str(caught.value) == (
        "the earlier artifact does not fit model: 'head.bias' of its model.safetensors "
        "is missing or of another shape"
    )


@pytest.mark.parametrize(
    "most, expected",
    [(1, [0]), (4, [0, 1, 3, 5]), (7, list(range(7))), (9, list(range(7)))],
)
def test_a_few_photos_are_spread_over_the_whole_list(tmp_path, most, expected):
    for name, count in (("a", 4), ("b", 3)):
        (tmp_path / name).mkdir()
        for index in range(count):
            (tmp_path / name / f"{index}.jpg").write_bytes(b"x")
    photos = read_channels({"train": tmp_path}, (1.0, 0.0, 0.0), 0).train
    assert list(spread(photos, most).paths) == [photos.paths[index] for index in expected]


def fail() -> tuple[float, dict[str, float]]:
    raise JobError("our words")


def test_after_a_failure_an_optional_step_may_fail(caplog):
    assert _or_without(fail, UNCALIBRATED, "temperature") == (1.0, {})
    assert caplog.messages == ["left out: temperature (our words)"]
    assert _or_without(lambda: (2.0, {}), UNCALIBRATED, "temperature") == (2.0, {})
    with pytest.raises(JobError, match="our words"):
        _outright(fail, UNCALIBRATED, "temperature")
