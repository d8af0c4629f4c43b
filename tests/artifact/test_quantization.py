"""The int8 model: made, judged, kept or dropped; and which precision an engine runs in."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from artifact.engines.choice import open_engine, precisions
from artifact.engines.int8_gate import Gate, Judgement
from artifact.engines.quantization import STOPPED, quantize
from artifact.export import export
from artifact.model import ArtifactError, Description, read_description, write_description
from artifact.networks.network import build
from artifact.photos.decoder import read_photo
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import REPOSITORY, draw_photo

pytestmark = pytest.mark.slow

PREPROCESSING = Preprocessing(resize=36, crop=32)
FEW = Gate(photos=24)
RIGHT = Judgement(np.zeros(100), np.ones(100, bool))
INT8_FILES = {"model.int8.xml", "model.int8.bin"}


class Cancelling(torch.nn.Module):
    """Finds green by the small difference of two large numbers, which 256 steps cannot hold."""

    def __init__(self):
        super().__init__()
        self.large, self.difference = (
            torch.nn.Linear(3, 2, bias=False),
            torch.nn.Linear(2, 2, bias=False),
        )
        with torch.no_grad():
            self.large.weight.copy_(torch.tensor([[1000.0, 0, 0], [1000.0, 1, 0]]))
            self.difference.weight.copy_(torch.tensor([[-1.0, 1], [1, -1]]))

    def forward(self, samples):
        return self.difference(self.large(samples.mean(dim=(2, 3))))


def exported(
    folder: Path, network: torch.nn.Module, classes=("green", "other"), architecture="made up"
) -> Description:
    description = Description(classes, PREPROCESSING, architecture)
    export(
        network.eval(),
        description,
        folder,
        np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8),
    )
    return description


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> tuple[list[Path], list[int]]:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    labels = [0] * 12 + [1] * 12
    for index, label in enumerate(labels):
        draw_photo(
            folder / f"{index:02}.jpg",
            (int(random.integers(20, 230)), 20 if label else 220, 120),
            index,
        )
    return sorted(folder.iterdir()), labels


def judge_of(directory: Path, paths: list[Path], labels: list[int]):
    def judge(description: Description, precision: str) -> Judgement:
        engine = open_engine(directory, description, precision)
        assert engine.precision == precision
        pixels = np.stack([description.preprocessing.pixels(read_photo(path)) for path in paths])
        answers = engine.run(pixels).argmax(axis=1)
        return Judgement(answers, answers == labels)

    return judge


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_int8_that_answers_as_well_is_kept_and_run(tmp_path, photos, caplog):
    caplog.set_level(logging.INFO)
    convolution = torch.nn.Conv2d(3, 8, 3)
    linear = torch.nn.Linear(8, 2)
    network = torch.nn.Sequential(
        convolution,
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        linear,
    )
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[0, 1, 1, 1] = 1
        convolution.weight[1, 0, 1, 1] = 1
        linear.weight.zero_()
        linear.weight[:, 0] = torch.tensor([2.0, -2.0])
        linear.bias[:] = torch.tensor([-1.0, 1.0])
    artifact = tmp_path / "model"
    description = exported(artifact, network)
    figures = quantize(
        artifact, description, photos[0], 24, judge_of(artifact, *photos), lambda: False, FEW
    )
    assert figures["kept"] is True
    assert (figures["photos"], figures["calibration_photos"]) == (24, 24)
    assert (figures["agreement"], figures["loss"], figures["attempt"]) == (1.0, 0.0, 1)
    assert (figures["f32_accuracy"], figures["int8_accuracy"]) == (1.0, 1.0)
    assert files(artifact) == {"model.json", "model.onnx", "model.safetensors"} | INT8_FILES
    assert "int8 is kept, it agrees with f32 on 1.00000 of 24 photos" in caplog.text
    assert "nncf" not in caplog.text.lower()
    write_description(artifact, Description(**{**vars(description), "quantization": figures}))
    read = read_description(artifact)
    assert open_engine(artifact, read, "int8").precision == "int8"
    assert open_engine(artifact, read).precision == precisions(read)[0]
    (artifact / "model.int8.bin").unlink()
    with pytest.raises(ArtifactError, match="model.int8.bin"):
        read_description(artifact)


def test_nothing_is_told_to_anyone(tmp_path):
    """By themselves OpenVINO and NNCF leave an identity under HOME, and call home."""
    exported(tmp_path / "model", Cancelling())
    draw_photo(tmp_path / "a.jpg", (200, 20, 20), 0)
    (tmp_path / "home").mkdir()
    code = (
        "import pathlib, sys; from artifact.engines.choice import open_engine\n"
        "from artifact.model import read_description\n"
        "from artifact.engines.quantization import quantize\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "description = read_description(folder / 'model')\n"
        "open_engine(folder / 'model', description)\n"
        "photos = [folder / 'a.jpg']\n"
        "import numpy as np; from artifact.engines.int8_gate import Judgement\n"
        "right = Judgement(np.zeros(100), np.ones(100, bool))\n"
        "print(quantize(folder / 'model', description, photos, 100, lambda *_: right, bool))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=REPOSITORY,
        env={"HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.startswith("{'kept': True")
    assert not list((tmp_path / "home").rglob("*"))


@pytest.mark.parametrize("agreement, kept", [(0.99, False), (0.0, True)])
def test_the_gate_decides(tmp_path, photos, agreement, kept):
    description = exported(tmp_path, Cancelling())
    gate = Gate(photos=24, agreement=agreement, loss=1.0)
    figures = quantize(
        tmp_path, description, photos[0], 24, judge_of(tmp_path, *photos), lambda: False, gate
    )
    assert figures["f32_accuracy"] == 1.0
    assert figures["kept"] == kept
    assert files(tmp_path) & INT8_FILES == (INT8_FILES if kept else set())
    if kept:
        assert figures["int8_accuracy"] < 0.9
        assert figures["attempt"] == 1
    else:
        assert re.fullmatch(r"it answers \d+\.\d\d % of 24 photos as f32 does.*", figures["reason"])


def test_an_earlier_int8_model_never_stands_beside_a_new_graph(tmp_path):
    (tmp_path / ".int8.x.slipway-tmp").mkdir()
    for name in INT8_FILES:
        (tmp_path / name).write_text("old")
    exported(tmp_path, Cancelling())
    assert files(tmp_path) == {"model.json", "model.onnx", "model.safetensors"}


def test_a_stop_ends_quantization_at_once(tmp_path, photos):
    torch.manual_seed(0)
    description = exported(
        tmp_path, build("mobilenet_v3_small", 2), architecture="mobilenet_v3_small"
    )
    before = {child.pid for child in psutil.Process().children()}

    def has_begun() -> bool:
        return {child.pid for child in psutil.Process().children()} > before

    figures = quantize(
        tmp_path,
        description,
        photos[0],
        100,
        lambda *_: pytest.fail("measured"),
        has_begun,
    )
    assert figures["reason"] == STOPPED
    assert not figures["kept"]
    assert files(tmp_path) == {"model.json", "model.onnx", "model.safetensors"}
    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_stop_while_measuring_drops_int8(tmp_path, photos):
    description = exported(tmp_path, Cancelling())
    figures = quantize(
        tmp_path,
        description,
        photos[0],
        100,
        lambda _, precision: RIGHT if precision == "f32" else None,
        lambda: False,
    )
    assert figures["reason"] == STOPPED
    assert not figures["kept"]
    assert not files(tmp_path) & INT8_FILES


def test_what_nncf_cannot_quantize_costs_one_sentence(tmp_path, photos, caplog):
    caplog.set_level(logging.INFO)
    description = exported(tmp_path, Cancelling())
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    figures = quantize(
        tmp_path, description, photos[0], 100, lambda *_: pytest.fail("measured"), lambda: False
    )
    assert not figures["kept"]
    assert figures["reason"].startswith("NNCF cannot quantize made up (")
    assert "\n" not in figures["reason"]
    assert f"no int8 model: {figures['reason']}" in caplog.text


def test_int8_must_be_there_to_be_asked_for(tmp_path):
    description = exported(tmp_path, Cancelling())
    with pytest.raises(ArtifactError, match="holds no int8 model .*did not quantize it.*; ask for"):
        open_engine(tmp_path, description, "int8")
    with pytest.raises(ValueError, match="auto, f32, bf16, int8, f16; found 'int4'"):
        open_engine(tmp_path, description, precision="int4")
    with pytest.raises(ValueError, match="found 'tpu'"):
        open_engine(tmp_path, description, device="tpu")
    engine = open_engine(tmp_path, description, threads=1)
    assert (engine.name, engine.precision, engine.max_batch) == (
        "openvino",
        precisions(description)[0],
        1,
    )
    assert open_engine(tmp_path, description, "f32").precision == "f32"


def test_a_closed_engine_gives_its_memory_back(tmp_path):
    torch.manual_seed(0)
    description = exported(tmp_path, build("resnet18", 2), architecture="resnet18")
    open_engine(tmp_path, description, "f32").close()  # what the library itself takes
    engine, process = open_engine(tmp_path, description, "f32"), psutil.Process()
    loaded = process.memory_info().rss
    engine.close()
    engine.close()
    assert loaded - process.memory_info().rss > 30e6  # of 45 MB of weights
    with pytest.raises(RuntimeError, match="closed"):
        engine.run(np.zeros((1, 32, 32, 3), np.uint8))


@pytest.mark.parametrize("kind", [["kept"], "yes"])
def test_a_description_with_other_figures_is_refused(tmp_path, kind):
    exported(tmp_path, Cancelling())
    values = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(values | {"quantization": kind}))
    with pytest.raises(ArtifactError, match="model.json' has quantization .* expected an object"):
        read_description(tmp_path)
    for name in ("quantization", "calibration"):
        values.pop(name, None)
    (tmp_path / "model.json").write_text(json.dumps(values))
    assert read_description(tmp_path).quantization == {}
    assert read_description(tmp_path).calibration == {}
