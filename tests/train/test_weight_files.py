"""Weights that fit as a whole, in part or not, and the key of their files."""

import json

import pytest
import safetensors.torch
import torch

from artifact.networks.network import build
from train.job import JobError
from train.model.weight_files import read_tensors, read_weights
from train.model.weight_folder import only_weights_file
from train.model.weights import fill, load_weights, weights_files


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


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict_ema": BODY, "state_dict": {"body.weight": torch.zeros(2, 2)}, "arch": "x"},
        {"model_ema": {"module.body.weight": BODY["body.weight"]}, "model": HEAD},
        {"net": BODY, "acc": 93.1, "epoch": 3},  # a tutorial's
        {"classy_state_dict": {"base_model": {"model": BODY}}},
        {"my_classifier": BODY, "optimizer": {"state": {0: {"step": torch.ones(1)}}}},
        {"n_averaged": torch.tensor(5), "module.body.weight": BODY["body.weight"]},
        BODY | {"epoch": 3} | HEAD,
        {"state_dict": {f"net.{name}": value for name, value in (BODY | HEAD).items()}},
        {f"student.backbone.{name}": value for name, value in BODY.items()},
        {name: value.to(torch.float8_e4m3fn) for name, value in BODY.items()},
        {name: value.to_sparse() for name, value in BODY.items()},
    ],
)
def test_other_scripts_checkpoints_are_taken(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    network = Headed()
    load_weights(network, "resnet18", str(tmp_path), {})
    assert torch.equal(network.body.weight, torch.ones(2, 2))


@pytest.mark.parametrize(
    "content, words",
    [
        ({0: torch.ones(2, 2)}, "holds no weights: expected names and tensors, found 0"),
        ({"a": BODY, "b": BODY}, "expected names and tensors, found 'a', 'b'"),
        ([torch.ones(1)], "found a list"),
        ({"body.weight": torch.ones(2, 2, device="meta")}, "names without values"),
        ({"body.weight": torch.ones(2, 2, dtype=torch.int8)}, "as torch.int8, which a network"),
        ({"body.weight": torch.ones(2, 2, dtype=torch.complex64)}, "as torch.complex64"),
    ],
)
def test_what_no_network_learns_in_is_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(JobError, match=words):
        load_weights(Headed(), "resnet18", str(tmp_path / "w.pth"), {})


def test_a_file_is_read_by_its_content(tmp_path):
    safetensors.torch.save_file(BODY, tmp_path / "w.pth")
    torch.save(BODY, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        assert read_weights(tmp_path / name).keys() == BODY.keys()
    (tmp_path / "w.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(JobError, match="a pointer of Git LFS"):
        read_weights(tmp_path / "w.bin")


def test_a_folder_of_a_trainer_has_one_weights_file(tmp_path):
    for name in ("pytorch_model.bin", "optimizer.bin", "rng_state.pth", "._model.safetensors"):
        (tmp_path / name).touch()
    assert only_weights_file(tmp_path).name == "pytorch_model.bin"
    (tmp_path / "MODEL.SAFETENSORS").touch()
    with pytest.raises(JobError, match=r"found: MODEL.SAFETENSORS, pytorch_model.bin"):
        only_weights_file(tmp_path)
    (tmp_path / "MODEL.SAFETENSORS").rename(tmp_path / "model.safetensors")
    assert only_weights_file(tmp_path).name == "model.safetensors"


def test_weights_in_several_files_are_read_by_their_index(tmp_path):
    index = tmp_path / "model.safetensors.index.json"
    files = {"one.safetensors": BODY, "two.safetensors": HEAD}
    for name, state in files.items():
        safetensors.torch.save_file(state, tmp_path / name)
    names = {name: file for file, state in files.items() for name in state}
    index.write_text(json.dumps({"weight_map": names}))
    assert only_weights_file(tmp_path) == index
    network = Headed()
    source = load_weights(network, "resnet18", "start", {"start": tmp_path})
    assert source.head
    assert len(source.fingerprint) == 64
    for wrong in ({"a": "../one.safetensors"}, {"a": 5}, {}, {"a": "three.safetensors"}):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(JobError, match=r"index of weights files|which is not there"):
            load_weights(network, "resnet18", str(index), {})


def test_a_vit_of_one_position_does_not_fit():
    network = build("vit_b_32", 2, image_size=32, drawn=False)
    state = network.state_dict() | {"encoder.pos_embedding": torch.zeros(1, 1, 768)}
    with pytest.raises(JobError, match="first 'encoder.pos_embedding'"):
        fill(network, state, "'file'", "vit_b_32")


def test_a_head_alone_is_no_network_of_timms():
    """timm takes a file without names for a wish for its published weights."""
    network = build("timm/test_vit", 2, image_size=32)
    state = network.state_dict()
    head = {name: value for name, value in state.items() if name.startswith("head.")}
    with pytest.raises(JobError, match="78 of 78 tensors are missing"):
        fill(network, head, "'file'", "timm/test_vit")
