"""Weights that fit as a whole, in part or not, and the key of their files."""

import pytest
import torch

from train.job import JobError
from train.model.weight_files import read_tensors
from train.model.weights import fill, weights_files


class Headed(torch.nn.Module):
    """A body of four values and a head of two."""

    head_name = "head"

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Linear(2, 2, bias=False)
        self.head = torch.nn.Linear(1, 1)


BODY = {"body.weight": torch.ones(2, 2)}
HEAD = {"head.weight": torch.full((1, 1), 5.0), "head.bias": torch.full((1,), 6.0)}


@pytest.mark.parametrize(
    "state, taken",
    [
        (BODY | HEAD, True),
        (BODY, False),
        (BODY | {"head.weight": torch.full((1, 1), 5.0)}, False),  # a part is worth nothing
        (BODY | HEAD | {"head.bias": torch.zeros(3)}, False),
    ],
)
def test_a_head_is_taken_as_a_whole_or_not(state, taken):
    network = Headed()
    assert fill(network, state, "'file'", "resnet18") is taken
    assert torch.equal(network.body.weight, torch.ones(2, 2))
    assert (network.head.weight.item() == 5.0) is taken


@pytest.mark.parametrize("state", [{}, {"body.weight": torch.ones(3, 2)}])
def test_a_body_that_does_not_fit_is_named(state):
    with pytest.raises(JobError) as caught:
        fill(Headed(), state, "'file'", "resnet18")
    assert str(caught.value) == (
        "'file' does not fit model resnet18: 1 of 1 tensors are missing or of another shape, "
        "first 'body.weight'"
    )


def test_weights_are_told_apart_by_size_and_time(tmp_path):
    path = tmp_path / "w.pth"
    path.write_text("x")
    status = path.stat()
    row = (str(path), 1, status.st_mtime_ns)
    assert weights_files("none", {}) == ("none",)
    assert weights_files(str(path), {}) == (str(path), row)
    assert weights_files("start", {"start": tmp_path}) == ("start", row)


def test_a_damaged_archive_is_named_in_one_line(tmp_path):
    path = tmp_path / "w.pth"
    path.write_text("hello")
    with pytest.raises(JobError) as caught:
        read_tensors(path, "a file of weights")
    sentence = str(caught.value)
    assert sentence.startswith(f"'{path}' is not a file of weights (")
    assert "\n" not in sentence
    with pytest.raises(OSError, match="No such file"):
        read_tensors(tmp_path / "none.pth", "a file of weights")
