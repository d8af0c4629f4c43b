"""`launch drift` over scripted captures: what it finds, its page, its exit code, its refusals."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifact.drift_reference import Reference, write_reference
from artifact.model import Description, write_description
from artifact.photos.measures import photo_measures
from artifact.photos.preprocessing import Preprocessing
from launch import shift
from launch.drift import MOVED, drift
from launch.drift_findings import FEWEST
from launch.errors import LaunchError
from tests.support.launching import ScriptedAws, streamed

CLASSES = ("blue", "red")
SIDE = 16
PHOTOS = 40


def picture(seed: int, light: float = 1.0) -> Image.Image:
    random = np.random.default_rng(seed)
    samples = random.uniform(60, 200) + random.normal(0, 20, (SIDE, SIDE, 3))
    return Image.fromarray((np.clip(samples, 0, 255) * light).astype(np.uint8))


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    """An artifact's description and its reference; the command reads no more of it."""
    monkeypatch.setattr(shift, "PERMUTATIONS", 999)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"never read")
    write_description(folder, Description(CLASSES, Preprocessing(SIDE, SIDE), "resnet18"))
    pixels = np.stack([np.asarray(picture(seed)) for seed in range(PHOTOS)])
    labels = np.repeat([0, 1], PHOTOS // 2)
    none = np.zeros((0, 0), np.float32)
    write_reference(
        folder,
        Reference(
            photo_measures(pixels),
            np.full(2, 100),
            labels,
            labels,
            np.linspace(0.6, 1, PHOTOS).astype(np.float32),
            np.zeros(0, np.float32),
            none.astype(np.float16),
            none,
        ),
    )
    return folder


@pytest.fixture
def captured(colours, model):
    """A function: a context whose bucket holds captures of such photos, and their answers."""

    def made(light: float = 1.0, count: int = PHOTOS, **options: object) -> ScriptedAws:
        one = colours(**{"model": str(model), "newest": 1000, **options})
        lines = [event(number, light).encode() for number in range(count)]
        content = b"\n".join([*lines, b"no JSON"])
        one.answer("s3", "list_objects_v2", {"Contents": [{"Key": "a.jsonl"}]})
        body = {"Body": streamed(content), "ContentLength": len(content)}
        one.answer("s3", "get_object", body)
        return one

    return made


def event(number: int, light: float) -> str:
    data = io.BytesIO()
    picture(100 + number, light).save(data, "PNG")
    answer = {"label": CLASSES[number % 2], "probability": 0.6 + 0.4 * (number * 7 % 40) / 40}
    sides = {
        "endpointInput": {
            "observedContentType": "image/png",
            "data": base64.b64encode(data.getvalue()).decode(),
            "encoding": "BASE64",
        },
        "endpointOutput": {
            "data": json.dumps({"predictions": [answer]}),
            "encoding": "JSON",
        },
    }
    moment = {"inferenceTime": f"2026-11-{1 + number % 30:02}T10:00:00Z"}
    return json.dumps({"captureData": sides, "eventMetadata": moment})


def test_photos_as_before_have_not_moved(captured, tmp_path):
    one = captured(json=True)
    assert drift(one.context) == 0
    found = json.loads(one.printed[0])
    assert found["photos"] == PHOTOS
    assert found["moved"] == []
    names = [thing["name"] for thing in found["compared"]]
    assert names == [
        *("brightness", "contrast", "saturation", "warmth", "sharpness"),
        *("classes", "confidence"),
    ]
    page = Path(found["page"]).read_text()
    assert "Nothing has moved" in page
    assert "2026-11-30" in page


def test_a_darker_room_is_found(captured):
    one = captured(light=0.5)
    assert drift(one.context) == MOVED
    lines = "\n".join(one.printed)
    assert "moved  brightness" in lines
    assert "ok     classes" in lines
    assert "Left out: 1 capture not in JSON that can be read." in lines
    assert f"drift: of {PHOTOS} photos: brightness" in lines
    page = Path(one.printed[-1].removeprefix("drift: ")).read_text()
    assert "the camera's exposure" in page.replace("&#39;", "'")
    assert page.count("data:image/jpeg;base64,") >= 8


def test_too_few_photos_are_a_sentence(captured):
    one = captured(count=3)
    sentence = f"3 captured photos lie below s3://photos/.*needs {FEWEST}: set .*capture_percent"
    with pytest.raises(LaunchError, match=sentence):
        drift(one.context)


def test_a_model_without_numbers_is_a_sentence(colours, model):
    (model / "model.reference.npz").unlink()
    one = colours(model=str(model), newest=1000)
    with pytest.raises(LaunchError, match="no model.reference.npz; .* train it again"):
        drift(one.context)
