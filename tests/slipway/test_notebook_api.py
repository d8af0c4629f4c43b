"""slipway.load and slipway.report, as a notebook uses them."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import slipway
from artifact.photos.kinds import PhotoError
from serve.predictor import Predictor
from tests.support.jobs import REPOSITORY

# From which mode Pillow converts to it
START = {"F": "L", "I": "L", "PA": "P"}


@pytest.fixture(scope="module")
def model(colours):
    return slipway.load(colours.model)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.effect_noise((90, 60), 80).convert("RGB").save(path)
    return path


def test_it_answers_what_the_endpoint_answers(colours, model, photo):
    predictor = Predictor(colours.model)
    try:
        assert predictor.predict([photo.read_bytes()], 2) == [model.predict(photo, top_k=2)]
    finally:
        predictor.close()


def test_a_photo_may_be_given_in_any_form(model, photo):
    expected = model.predict(photo)
    with Image.open(photo) as image:
        forms = [str(photo), photo.read_bytes(), image, np.asarray(image)]
        assert model.predict(forms) == [expected] * len(forms)
    assert expected["label"] in model.classes


@pytest.mark.parametrize("mode", ["CMYK", "F", "HSV", "PA", "RGBA", "I", "1"])
def test_an_image_of_pillow_may_have_any_mode(model, photo, mode):
    with Image.open(photo) as opened:
        image = opened.convert(START.get(mode, "RGB"))
    assert model.predict(image.convert(mode))["label"] in model.classes


def test_an_image_of_pillow_is_turned_as_its_file_is(model, tmp_path):
    lying = Image.new("RGB", (80, 40))
    lying.paste((255, 0, 0), (0, 0, 40, 40))
    lying.getexif()[0x0112] = 6
    path = tmp_path / "lying.png"
    lying.save(path, exif=lying.getexif())
    with Image.open(path) as image:
        assert model.predict(image) == model.predict(path)


@pytest.mark.parametrize("place", ["ml", "ml/model", "."])
def test_a_model_is_found_below_a_job_and_a_project(colours, tmp_path, place):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/ml").symlink_to(colours.root)
    where = tmp_path if place == "." else tmp_path / "out" / place
    assert slipway.load(where).classes == ["blue", "green", "red"]


def test_what_is_no_photo_and_no_model_is_said(model, tmp_path):
    (tmp_path / "text.jpg").write_text("no photo")
    with pytest.raises(PhotoError, match=r"photo '.*text\.jpg': "):
        model.predict(tmp_path / "text.jpg")
    with pytest.raises(PhotoError, match=r"found float64 \[3, 3\]"):
        model.predict(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"holds no model\.json"):
        slipway.load(tmp_path)


def test_it_says_what_it_is(model):
    assert repr(model).startswith("<slipway.Model: 3 classes; accuracy: ")


def test_a_report_is_shown_in_a_frame_of_its_own(tmp_path):
    (tmp_path / "report.html").write_text('<title>A "report"</title>')
    shown = slipway.report(tmp_path, height=300)
    assert 'srcdoc="&lt;title&gt;A &quot;report&quot;' in shown._repr_html_()
    assert 'sandbox="allow-scripts"' in shown._repr_html_()
    assert repr(shown) == str(tmp_path / "report.html")
    with pytest.raises(FileNotFoundError, match=r"holds no report\.html"):
        slipway.report(tmp_path / "nothing")


def test_importing_slipway_loads_nothing():
    code = "import sys, slipway; print({'numpy', 'torch', 'artifact'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
