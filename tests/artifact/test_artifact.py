import io
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from artifact import export as exporting
from artifact.engines.choice import open_engine
from artifact.engines.openvino_engine import load_openvino
from artifact.export import ExportError, export, write_graph
from artifact.host.machine import cpu_count
from artifact.model import (
    ArtifactError,
    Description,
    atomic_file,
    read_description,
    write_atomically,
    write_description,
)
from artifact.networks.network import architectures, build, own_preprocessing
from artifact.networks.probabilities import Probabilities
from artifact.photos.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(resize=36, crop=32)


def small_artifact(folder, classes=("a", "b", "c"), architecture="squeezenet1_1", head=()):
    torch.manual_seed(0)
    network = build(architecture, len(classes), head).eval()
    description = Description(classes, PREPROCESSING, architecture, head)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    export(network, description, folder, pixels)
    return network, description, pixels


def test_what_is_written_is_read_back(tmp_path):
    description = Description(
        ("köter", "a b", "c"),
        PREPROCESSING,
        "resnet18",
        (20, 10),
        True,
        {"test": 0.5},
        1.5,
        {"kept": False},
        {"photos": 3},
        {"seed": 0},
        {"threshold": 0.3},
    )
    write_description(tmp_path, description)
    write_atomically(tmp_path / "model.onnx", b"graph")
    assert read_description(tmp_path) == description


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda v: v.update(format_version=99), "format_version 99"),
        (lambda v: v.pop("format_version"), "format_version None"),
        (lambda v: v.pop("classes"), "expected"),
        (lambda v: v.update(classes=["a"]), "two or more"),
        (lambda v: v.update(classes=["a", "a"]), "different"),
        (lambda v: v.update(surprise=1), "surprise"),
        (lambda v: v.update(classes=[["a"], "b"]), "different names"),
        (lambda v: v.update(head=None), "does not work"),
        (lambda v: v.update(temperature="hot"), "does not work"),
        (lambda v: v.update(known=[1]), "expected an object"),
        (lambda v: v.update(known={"score": "distance"}), "threshold None"),
        (lambda v: v.update(known={"threshold": "far"}), "threshold 'far'"),
        (lambda v: v["preprocessing"].update(crop=999), "crop"),
        (lambda v: v["preprocessing"].update(blur=1), "blur"),
    ],
)
def test_a_description_that_is_not_ours_is_refused(tmp_path, change, words):
    write_description(tmp_path, Description(("a", "b"), PREPROCESSING, "resnet18"))
    write_atomically(tmp_path / "model.onnx", b"graph")
    values = json.loads((tmp_path / "model.json").read_text())
    change(values)
    (tmp_path / "model.json").write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=words) as caught:
        read_description(tmp_path)
    assert "model.json" in str(caught.value)


@pytest.mark.parametrize(
    "text, words", [("{", "not readable JSON"), ("[1]", "list"), ("\xff", "not readable JSON")]
)
def test_a_damaged_description_is_refused(tmp_path, text, words):
    # In latin-1 the last of them is no UTF-8.
    (tmp_path / "model.json").write_text(text, encoding="latin-1")
    (tmp_path / "model.onnx").write_bytes(b"graph")
    with pytest.raises(ArtifactError, match=words):
        read_description(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="no such directory"):
        read_description(tmp_path / "gone")
    with pytest.raises(ArtifactError, match="model.json; found: nothing"):
        read_description(tmp_path)
    write_description(tmp_path, Description(("a", "b"), PREPROCESSING, "resnet18"))
    with pytest.raises(ArtifactError, match="no model.onnx"):
        read_description(tmp_path)


# Exporting takes its time: once for all tests that only read.
@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small artifact's folder, network, description and pixels; read it, don't change it."""
    folder = tmp_path_factory.mktemp("small")
    return folder, *small_artifact(folder)


def test_the_engine_answers_as_the_network_does(small):
    folder, network, description, pixels = small
    answers = open_engine(folder, read_description(folder), "f32").run(pixels)
    expected = (
        Probabilities(network, description.preprocessing)(torch.from_numpy(pixels)).detach().numpy()
    )
    assert answers.dtype == np.float32
    assert answers.shape == (3, 3)
    np.testing.assert_allclose(answers, expected, atol=1e-5)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)


def test_an_answer_does_not_depend_on_its_neighbours(small):
    folder, _, description, pixels = small
    engine = open_engine(folder, description)
    np.testing.assert_array_equal(
        engine.run(pixels), np.concatenate([engine.run(pixels[i : i + 1]) for i in range(3)])
    )


def test_a_graph_that_does_not_fit_its_description_is_refused(tmp_path, small):
    shutil.copytree(small[0], tmp_path, dirs_exist_ok=True)
    with pytest.raises(ArtifactError, match="classes 3; model.json says 4"):
        open_engine(tmp_path, Description(("a", "b", "c", "d"), PREPROCESSING, "squeezenet1_1"))
    with pytest.raises(ArtifactError, match="pixels"):
        open_engine(tmp_path, Description(("a", "b", "c"), Preprocessing(), "squeezenet1_1"))
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtifactError, match="model.onnx"):
        open_engine(tmp_path, Description(("a", "b", "c"), PREPROCESSING, "squeezenet1_1"))


def test_an_export_that_answers_otherwise_leaves_no_artifact(tmp_path, monkeypatch):
    def other_graph(model, sample, file):
        # The graph gets other weights than the network has.
        for parameter in model.parameters():
            parameter.data += 0.05
        write_graph(model, sample, file)
        for parameter in model.parameters():
            parameter.data -= 0.05

    monkeypatch.setattr(exporting, "write_graph", other_graph)
    with pytest.raises(ExportError, match="differ"):
        small_artifact(tmp_path)
    # Without model.json nothing is loaded.
    assert not (tmp_path / "model.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", ["shufflenet_v2_x0_5", "squeezenet1_1", "vit_b_32", "swin_t"]
)
def test_the_graph_takes_any_batch(architecture):
    torch.manual_seed(0)
    size = 32 if architecture != "swin_t" else 64
    model = Probabilities(build(architecture, 4, (8,), size), Preprocessing(size, size)).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    core = load_openvino().Core()
    file = io.BytesIO()
    write_graph(model, pixels[:1], file)
    compiled = core.compile_model(
        core.read_model(file.getvalue()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    with torch.inference_mode():
        np.testing.assert_allclose(
            compiled(pixels)[0], model(torch.from_numpy(pixels)).numpy(), atol=1e-5
        )


OTHERS = [name for name in architectures() if not name.startswith(("regnet", "squeezenet1_1"))]
OTHERS.append("regnet_x_400mf")


# RegNet computes its widths from tensors, which needs their data; the smallest is really built
@pytest.mark.parametrize(
    "architecture",
    ["squeezenet1_1", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)],
)
def test_every_architecture_takes_a_head_of_ours(architecture):
    size = own_preprocessing(architecture).crop
    # On "meta" nothing is computed, and no memory is taken.
    with torch.device("cpu" if architecture.startswith("regnet") else "meta"):
        network = build(architecture, 7, (16,), size).eval()
        assert network(torch.zeros(1, 3, size, size)).shape == (1, 7)
    head = network.get_submodule(str(network.head_name))
    names = {name for name, _ in head.named_parameters()}
    assert names == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_an_unknown_architecture_names_the_known():
    with pytest.raises(ValueError, match="'resnet51'.*resnet50"):
        build("resnet51", 2)


def test_a_torn_write_leaves_the_old_file(tmp_path):
    write_atomically(tmp_path / "file", b"old")
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "file") as file:
        file.write(b"half")
        raise RuntimeError("killed")
    assert (tmp_path / "file").read_bytes() == b"old"
    # The half-written file is gone, too.
    assert len(list(tmp_path.iterdir())) == 1


def test_ctrl_c_just_after_a_file_has_its_name_is_still_ctrl_c(tmp_path, monkeypatch):
    def replaced(old: str, new: Path) -> None:
        # The file has its name when Ctrl-C comes.
        Path(old).rename(new)
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", replaced)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_cores_are_counted():
    assert 1 <= cpu_count() <= 4096


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_photos_side_by_side_are_answered_as_alone(trained, precision):
    """With streams a batch of any size runs on several requests; closing waits for them."""
    description = read_description(trained.model)
    size = description.preprocessing.crop
    pixels = np.random.default_rng(0).integers(0, 256, (7, size, size, 3), dtype=np.uint8)
    plain = open_engine(trained.model, description, precision, threads=2)
    engine = open_engine(trained.model, description, precision, threads=2, openvino_streams=True)
    deadline = time.monotonic() + 30
    # A thread prepares them.
    while engine.max_batch == 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.max_batch == 2
    assert plain.max_batch == 1
    alone = np.concatenate([plain.run(pixels[index : index + 1]) for index in range(7)])
    np.testing.assert_array_equal(engine.run(pixels), alone)
    engine.close()
    with pytest.raises(RuntimeError, match="closed"):
        engine.run(pixels)


def test_an_engine_can_be_closed_while_its_lanes_are_prepared(trained):
    description = read_description(trained.model)
    engine = open_engine(trained.model, description, "f32", threads=2, openvino_streams=True)
    engine.close()
    assert engine.max_batch == 1
