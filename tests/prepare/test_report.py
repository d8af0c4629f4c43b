"""report.html: what needs a look is shown as pictures, and any number of classes stays usable."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from local_test.stick_figures import picture as figure
from prepare.convert import Photo
from prepare.options import Options
from prepare.photo_report import imbalance, render_report
from prepare.repeated import Repeated
from prepare.report_tiles import odd_kinds
from prepare.scan import Scan, Source
from prepare.signature import sharpness, signature
from prepare.summary import summarise
from prepare.thumbnails import mean_photos, thumbnail, torn_thumbnail
from tests.support.photo_folders import picture, save
from tests.support.preparations import PHOTO


def photo_of(image: Image.Image) -> Photo:
    """The record of a picture."""
    return replace(
        PHOTO,
        width=image.width,
        height=image.height,
        sharpness=sharpness(image),
        signature=signature(image),
    )


def sharp(seed: int) -> Image.Image:
    """A picture of 8 x 6 plain squares."""
    return picture(seed, size=(32, 24)).resize((8, 6)).resize((320, 240), Image.Resampling.NEAREST)


def noise(levels: float) -> Image.Image:
    """A plain picture as a camera sees it."""
    samples = np.random.default_rng(0).normal(120, levels, (300, 300))
    return Image.fromarray(samples.clip(0, 255).astype(np.uint8)).convert("RGB")


SHARP = sharp(1)


@pytest.mark.parametrize(
    ("image", "kinds"),
    [
        (SHARP, []),
        (SHARP.filter(ImageFilter.GaussianBlur(9)), ["Blurred"]),
        (SHARP.point(lambda level: level // 5), ["Dark"]),
        (Image.new("RGB", (300, 300), "white"), ["Nearly empty"]),
        (noise(3), ["Nearly empty"]),
        (figure("chair", 5), []),  # its colours are as bright as their background
        (SHARP.resize((60, 50)), ["Small: under 64 pixels"]),
        (SHARP.resize((400, 100)), ["Long: over 3 times as long as wide"]),
    ],
    ids=["plain", "blurred", "dark", "empty", "noise", "faint", "small", "long"],
)
def test_odd_photos_have_their_kind(image, kinds):
    assert odd_kinds(photo_of(image)) == kinds


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"a": 10}, ""),
        ({"a": 10, "b": 20}, "about even: 10 to 20"),
        ({"a": 10, "b": 120}, "“b” has 120 photos, 12 times as many as “a” with 10"),
    ],
)
def test_imbalance_is_said_in_words(sizes, words):
    assert words in imbalance(sizes)
    assert bool(imbalance(sizes)) == bool(words)


def test_a_torn_file_is_shown_as_far_as_it_goes(tmp_path):
    path = save(tmp_path / "a.jpg", picture(1, size=(320, 240)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert torn_thumbnail(path).startswith("data:image/jpeg;base64,")
    path.write_text("<html>")
    assert torn_thumbnail(path) == ""


def test_a_thumbnail_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    path = save(tmp_path / "a.jpg", picture(1, size=(320, 160)), exif=exif)
    data = base64.b64decode(thumbnail(path).partition(",")[2])
    assert Image.open(io.BytesIO(data)).size == (48, 96)


@pytest.mark.parametrize(
    ("size", "options", "is_shown"),
    [
        ((300, 200), {}, True),
        ((4100, 4000), {}, False),
        ((4100, 4000), {"format": "JPEG"}, True),  # decoded at an eighth
    ],
)
def test_a_torn_file_that_costs_much_is_not_decoded(tmp_path, size, options, is_shown):
    data = io.BytesIO()
    Image.new("L", size, 200).save(data, **{"format": "PNG", **options})
    path = tmp_path / "a"
    path.write_bytes(data.getvalue()[:-30])
    assert bool(torn_thumbnail(path)) == is_shown


def test_repeated_and_broken_photos_are_pictures(tmp_path):
    photos = {}
    outputs = {}
    for number in range(4):
        source = Source(f"a/{number}.jpg", "a")
        image = sharp(number)
        save(tmp_path / f"train/a/{number}.jpg", image)
        photos[source] = photo_of(image)
        outputs[source] = f"train/a/{number}.jpg"
    torn = Source("a/<torn>.jpg", "a")
    options = Options(tmp_path / "in", tmp_path)
    splits = dict.fromkeys(photos, "train")
    summary = summarise(options, photos, splits, {torn: "it is torn"}, Scan([]))
    groups = Repeated(
        duplicates=[["a/0.jpg", "a/1.jpg"]],
        near=[["a/1.jpg", "a/2.jpg"]] * 41,
        conflicts=[["a/2.jpg", "a/3.jpg"]],
        leaks=[["a/0.jpg", "a/3.jpg"]],
        cut=[["a/1.jpg", "a/3.jpg"]],
    )
    summary = replace(summary, repeated=groups)
    page = render_report(summary, tmp_path, outputs, photos, tmp_path / "in").decode()
    for title in ("Conflicting labels", "Leaks", "Chains that were cut", "Exact copies"):
        assert f"<h3>{title}: 1 group</h3>" in page
    assert "<h3>Near copies: 41 groups</h3>" in page
    assert "and 1 group more; copies.json has" in page
    assert "a/&lt;torn&gt;.jpg" in page
    assert "no picture" in page  # the source is not there
    assert page.count('class="mean"') == 1
    # two photos of each group that is shown, the mean, and the class's own
    assert page.count("<img") == 2 * (4 + 40) + 1 + 4


def test_a_mean_photo_has_the_classes_colour():
    red = Source("a/1", "a")
    blue = Source("b/1", "b")
    photos = {
        red: photo_of(Image.new("RGB", (80, 60), "red")),
        blue: photo_of(Image.new("RGB", (80, 60), "blue")),
    }
    assert len(set(mean_photos(photos).values())) == 2
    assert mean_photos({red: PHOTO}) == {}


@pytest.mark.slow
def test_a_thousand_classes_and_a_long_name_stay_in_their_boxes(tmp_path):
    save(tmp_path / "1.jpg", picture(1))
    names = ["n" * 200, *map(str, range(999))]
    sources = [Source(f"{name}/1", name) for name in names]
    outputs = dict.fromkeys(sources, "1.jpg")
    photos = dict.fromkeys(sources, PHOTO)
    options = Options(tmp_path / "in", tmp_path)
    summary = summarise(options, photos, dict.fromkeys(sources, "train"), {}, Scan([]))
    page = render_report(summary, tmp_path, outputs).decode()
    assert page.count('<th scope="row">') >= 1000
    assert "n" * 200 in page
    assert len(page) < 5_000_000
