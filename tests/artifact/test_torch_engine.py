import threading
import weakref
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from artifact.engines import torch_engine
from artifact.engines.choice import open_engine
from artifact.engines.nvidia import DeviceError
from artifact.engines.torch_engine import DeviceMemoryError, TorchEngine
from artifact.model import ArtifactError, Description, read_description
from artifact.networks.network import build
from artifact.networks.probabilities import Probabilities
from artifact.photos.preprocessing import Preprocessing
from tests.artifact.test_artifact import small_artifact

pytestmark = pytest.mark.slow
MAX_BATCH = 5


@pytest.fixture(scope="module")
def artifact(trained):
    """(directory, description, uint8 photos of the test channel) of the trained fixture."""
    directory = trained.root / "model"
    description = read_description(directory)
    photos = sorted((trained.root / "input/data/test").glob("*/*"))
    return (
        directory,
        description,
        np.stack([description.preprocessing.pixels(Image.open(path)) for path in photos]),
    )


@pytest.fixture(scope="module")
def engine(artifact):
    directory, description, _ = artifact
    opened = TorchEngine(directory, description, "f32", "cpu", MAX_BATCH)
    yield opened
    opened.close()


def test_it_answers_as_openvino_does(artifact, engine):
    directory, description, photos = artifact
    expected, answers = open_engine(directory, description, "f32").run(photos), engine.run(photos)
    assert (engine.name, engine.precision, answers.dtype) == ("torch", "f32", np.float32)
    assert engine.max_batch == MAX_BATCH
    assert answers.shape == (18, 4)  # three classes and the distance
    np.testing.assert_allclose(answers, expected, atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "f16"])
def test_half_precision_names_the_same_classes(artifact, precision):
    directory, description, photos = artifact
    expected = open_engine(directory, description, "f32").run(photos)[:, :3]
    engine = TorchEngine(directory, description, precision, "cpu", MAX_BATCH)
    answers = engine.run(photos)[:, :3]
    engine.close()
    sure = np.sort(expected)[:, -1] - np.sort(expected)[:, -2] > 0.05
    assert engine.precision == precision
    assert sure.sum() >= 12
    np.testing.assert_array_equal(answers.argmax(axis=1)[sure], expected.argmax(axis=1)[sure])
    np.testing.assert_allclose(answers, expected, atol=0.05)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)  # softmax itself is in f32


def test_auto_takes_half_precision_only_where_it_answers_alike(artifact, monkeypatch):
    directory, description, photos = artifact
    offered = torch_engine._candidates(torch.device("cpu"))
    assert TorchEngine(directory, description, "auto", "cpu", 1).precision in offered
    monkeypatch.setattr(torch_engine, "_candidates", lambda device: ("f16", "f32"))
    assert TorchEngine(directory, description, "auto", "cpu", 1).precision == "f16"


def test_a_network_too_large_for_half_precision_runs_in_a_wider_one(tmp_path, monkeypatch, caplog):
    """Activations beyond 65504 are infinite in f16, and fine in bf16."""
    _, description, pixels = small_artifact(tmp_path)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    weights["features.0.weight"] *= 1e5
    weights["features.0.bias"] *= 1e5
    weights["classifier.1.weight"] /= 1e5
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors")
    monkeypatch.setattr(torch_engine, "_candidates", lambda device: ("f16", "bf16", "f32"))
    engine = TorchEngine(tmp_path, description, "auto", "cpu", 2)
    assert engine.precision == "bf16"
    assert "probabilities in f16 differ from those in f32 by nan" in caplog.text
    assert np.isfinite(engine.run(pixels)).all()


def test_any_number_of_photos_is_answered_as_each_alone(artifact, engine):
    photos = artifact[2]
    alone = np.concatenate([engine.run(photo[None]) for photo in photos])
    for count in range(2 * MAX_BATCH + 2):
        np.testing.assert_allclose(
            engine.run(photos[:count]), alone[:count], atol=1e-6, err_msg=f"{count} photos"
        )
    np.testing.assert_allclose(
        engine.run(photos[::-2]), alone[::-2], atol=1e-6
    )  # memory that is not in one piece


def test_many_threads_get_their_own_answers(artifact, engine):
    photos = artifact[2]
    expected, wrong = engine.run(photos), []

    def ask(first: int) -> None:
        for count in range(1, 9):
            answers = engine.run(photos[first : first + count])
            if not np.allclose(answers, expected[first : first + count], atol=1e-6):
                wrong.append((first, count))

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_other_pixels_are_refused(engine):
    with pytest.raises(
        ValueError, match=r"expected uint8 pixels \[N, 32, 32, 3\], found float32 \[1, 32, 32, 3\]"
    ):
        engine.run(np.zeros((1, 32, 32, 3), np.float32))
    with pytest.raises(ValueError, match=r"found uint8 \[1, 16, 32, 3\]"):
        engine.run(np.zeros((1, 16, 32, 3), np.uint8))


def test_a_closed_engine_lets_go_of_the_network(artifact):
    directory, description, photos = artifact
    engine = TorchEngine(directory, description, "bf16", "cpu", 2)
    assert engine._buckets is not None
    bucket: Any = engine._buckets._buckets[1]  # Any: its model is a module here
    weights = [weakref.ref(module) for module in bucket._model.modules()]
    assert len(weights) > 50
    engine.close()
    engine.close()
    assert [reference() for reference in weights if reference() is not None] == []
    with pytest.raises(RuntimeError, match="closed"):
        engine.run(photos)


def test_a_head_and_several_labels(tmp_path):
    _, description, pixels = small_artifact(tmp_path, architecture="resnet18", head=(8,))
    several = Description(
        description.classes,
        description.preprocessing,
        "resnet18",
        (8,),
        multi_label=True,
        temperature=2.0,
    )
    single, many = (
        TorchEngine(tmp_path, entry, "f32", "cpu", 2).run(pixels)
        for entry in (description, several)
    )
    np.testing.assert_allclose(
        single, open_engine(tmp_path, description, "f32").run(pixels), atol=1e-5
    )
    logits = np.log(many / (1 - many)) * 2
    np.testing.assert_allclose(
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), single, atol=1e-5
    )


@pytest.mark.parametrize(
    "architecture", ["regnet_y_400mf", "swin_v2_t", "inception_v3", "vit_b_32"]
)
def test_networks_with_ways_of_their_own(tmp_path, architecture):
    """Widths from tensors, buffers beside weights, an own input scale, an own size."""
    torch.manual_seed(0)
    size = 96
    description = Description(("a", "b"), Preprocessing(size, size), architecture)
    network = build(architecture, 2, (), size).eval()
    safetensors.torch.save_file(network.state_dict(), tmp_path / "model.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        expected = Probabilities(network, description.preprocessing)(
            torch.from_numpy(pixels)
        ).numpy()
    np.testing.assert_allclose(
        TorchEngine(tmp_path, description, "f32", "cpu", 2).run(pixels), expected, atol=1e-5
    )


def test_batch_norm_is_folded_and_nothing_else_changes():
    torch.manual_seed(0)
    network = build("resnet18", 3)
    network(torch.rand(8, 3, 32, 32))  # in training: the statistics are of something
    folded = torch_engine._folded(network.eval())
    assert not [module for module in folded.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.inference_mode():
        torch.testing.assert_close(
            folded(torch.ones(1, 3, 32, 32)),
            network(torch.ones(1, 3, 32, 32)),
            atol=1e-4,
            rtol=1e-4,
        )


class Branching(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, samples):
        return self.layer(samples) if samples.sum() > 0 else samples


def test_a_network_that_cannot_be_traced_runs_as_it_is():
    network = Branching()
    copied = torch_engine._folded(network)
    assert copied is not network
    assert copied(torch.ones(1, 2)).shape == (1, 2)


# --- unusable artifacts and devices ---


def drop_weights(folder):
    (folder / "model.safetensors").unlink()


def damage_weights(folder):
    (folder / "model.safetensors").write_bytes(b"no weights at all")


@pytest.mark.parametrize(
    "change, classes, architecture, words",
    [
        (drop_weights, 3, "squeezenet1_1", "holds no model.safetensors"),
        (damage_weights, 3, "squeezenet1_1", "model.safetensors' cannot be read as weights"),
        (
            None,
            4,
            "squeezenet1_1",
            "does not fit model.json, which says squeezenet1_1 with 4 classes.*size mismatch",
        ),
        (None, 3, "resnet18", "does not fit model.json, which says resnet18"),
        (None, 3, "resnet51", "'resnet51' is not a torchvision"),
        (None, 3, "vit_b_32", "does not fit model.json"),
    ],
)
def test_an_artifact_that_cannot_be_used_is_one_sentence(
    tmp_path, change, classes, architecture, words
):
    small_artifact(tmp_path)
    if change:
        change(tmp_path)
    description = Description(tuple("abcd"[:classes]), Preprocessing(36, 32), architecture)
    with pytest.raises(ArtifactError, match=words) as caught:
        TorchEngine(tmp_path, description, "f32", "cpu", 1)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 4000


def test_a_device_without_memory_is_one_sentence(artifact, monkeypatch):
    directory, description, photos = artifact

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\n2 GiB")

    engine = TorchEngine(directory, description, "f32", "cpu", 2)
    monkeypatch.setattr(engine._buckets, "run", full)
    with pytest.raises(DeviceMemoryError, match="^cpu has no free memory for 2 photos$"):
        engine.run(photos)
    monkeypatch.setattr(torch_engine, "_batch_buckets", full)
    with pytest.raises(
        DeviceMemoryError, match="does not fit into the free memory of cpu; unload another model"
    ) as caught:
        TorchEngine(directory, description, "f32", "cpu", 2)
    assert isinstance(caught.value, MemoryError)
    assert isinstance(caught.value, ArtifactError)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_one_sentence(artifact):
    directory, description, _ = artifact
    with pytest.raises(DeviceError, match="use the device cpu") as caught:
        TorchEngine(directory, description)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "int8"},
        {"device": "tpu"},
        {"device": ""},
        {"device": "cuda:x"},
        {"max_batch": 0},
    ],
)
def test_settings_that_do_not_exist_are_refused(artifact, settings):
    directory, description, _ = artifact
    with pytest.raises(ValueError, match="must be.*found"):
        TorchEngine(directory, description, **{"device": "cpu", **settings})
