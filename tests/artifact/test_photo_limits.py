"""Bounds of what is decoded, at each bound itself, and the scaling of deep greyscale."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from artifact.photos import colour, decoder
from artifact.photos.bounds import photo_header
from artifact.photos.colour import to_rgb
from artifact.photos.decoder import MAX_PIXELS, decode, read_photo, upright
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing


def bmp(width: int, height: int, rle: bool = False) -> bytes:
    """A BMP whose header claims that size."""
    buffer = io.BytesIO()
    Image.new("P", (4, 4)).save(buffer, "BMP")
    data = bytearray(buffer.getvalue())
    data[18:26] = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    data[30] = int(rle)  # 1 is BI_RLE8
    return bytes(data)


@pytest.mark.parametrize(
    "width, height, rle",
    [(16_000, 8_000, False), (1_000, 1_000, True), (1_000_000, 1, True), (1_000_001, 1, False)],
)
def test_a_photo_of_the_largest_size_is_taken(width, height, rle):
    header = photo_header(bmp(width, height, rle), MAX_PIXELS)
    assert (header.width, header.height) == (width, height)
    assert header.pixels == width * height


@pytest.mark.parametrize(
    "width, height, rle, sentence",
    [
        (
            42_666_667,
            3,
            False,
            "it has 42666667 x 3 pixels; at most 128,000,000 in all are accepted",
        ),
        (
            1_000_001,
            1,
            True,
            "it is a run-length encoded BMP of 1000001 x 1 pixels; "
            "at most 1,000,000 in all are accepted of these",
        ),
        (
            60_000,
            60_000,
            False,
            "it has 60000 x 60000 pixels; at most 128,000,000 in all are accepted",
        ),
        (0, 3, False, "it has 0 x 3 pixels"),
        (3, 0, False, "it has 3 x 0 pixels"),
    ],
)
def test_a_larger_photo_is_refused_before_it_is_decoded(width, height, rle, sentence):
    with pytest.raises(PhotoError) as caught:
        decode(bmp(width, height, rle))
    assert str(caught.value) == sentence


def jpeg_of(width: int, height: int, scans: int, exif: int = 0, others: int = 0) -> bytes:
    """A JPEG without samples: so many scans of nothing, after so many segments."""
    frame = (
        b"\xff\xc0\0\x0b\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\1\1\x11\0"
    )
    segments = b"\xff\xe1\0\x08Exif\0\0" * exif + b"\xff\xfe\0\x02" * others
    return b"\xff\xd8" + segments + frame + b"\xff\xda\0\x02" * scans


@pytest.mark.parametrize(
    "width, height, scans, exif, others, words",
    [
        (12_700, 10_000, 30, 0, 0, None),  # few scans, however large
        (5_000, 10_000, 50, 0, 0, None),  # 2,500,000,000 scanned pixels
        (5_001, 10_000, 50, 0, 0, "it is a JPEG of 50 scans"),
        (8_065, 10_000, 31, 0, 0, "it is a JPEG of 31 scans"),
        (1, 1, 1, 64, 0, None),
        (1, 1, 1, 65, 0, "far more segments"),
        (1, 1, 1, 0, 998, None),  # and the frame, and the scan
        (1, 1, 1, 0, 999, "far more segments"),
    ],
)
def test_a_jpeg_may_not_cost_minutes(width, height, scans, exif, others, words):
    data = jpeg_of(width, height, scans, exif, others)
    if words is None:
        assert photo_header(data, MAX_PIXELS).pixels == width * height
        return
    with pytest.raises(PhotoError, match=words):
        photo_header(data, MAX_PIXELS)


def test_strips_cover_the_image_once():
    strips = colour._strips(Image.new("L", (1000, 2500)))
    found = [(strip.size, top) for strip, top in strips]
    assert found == [((1000, 1000), 0), ((1000, 1000), 1000), ((1000, 500), 2000)]
    wide = colour._strips(Image.new("L", (1_500_000, 2)))
    assert [top for _, top in wide] == [0, 1]


def deep(values: list[float], dtype: type) -> list[int]:
    """The grey values of a row of samples of a type."""
    row: NDArray[Any] = np.array([values], dtype)
    return np.asarray(to_rgb(Image.fromarray(row)))[0, :, 0].tolist()


@pytest.mark.parametrize(
    "values, dtype, expected",
    [
        ([0, 255], np.int32, [0, 255]),
        ([0, 100], np.int32, [0, 100]),
        ([0, 256], np.int32, [0, 1]),
        ([0, 32_768, 65_535], np.int32, [0, 128, 255]),
        ([0, 65_536, 131_072], np.int32, [0, 128, 255]),
        ([-5, 255], np.int32, [0, 255]),
        ([0, 256, 65_535], np.uint16, [0, 1, 255]),
        ([0, 100], np.uint16, [0, 0]),
        ([0, 0.5, 1], np.float32, [0, 128, 255]),
        ([0, 1.5, 255], np.float32, [0, 2, 255]),
        ([0, 255, 510], np.float32, [0, 128, 255]),
        ([np.nan, np.inf, -np.inf, 1], np.float32, [0, 0, 0, 255]),
    ],
)
def test_deep_samples_keep_their_scale(values, dtype, expected):
    assert deep(values, dtype) == expected


def test_the_crop_is_cut_from_the_middle():
    samples = np.arange(8 * 4, dtype=np.uint8).reshape(4, 8)
    photo = Image.fromarray(samples).convert("RGB")
    values = Preprocessing(resize=4, crop=2, interpolation="nearest")
    assert values.pixels(photo)[:, :, 0].tolist() == [[11, 12], [19, 20]]
    tall = Image.fromarray(samples.T.copy()).convert("RGB")
    assert values.pixels(tall)[:, :, 0].tolist() == [[11, 19], [12, 20]]
    enlarged = Preprocessing(resize=8, crop=8, interpolation="nearest").pixels(photo)
    assert enlarged[::2, ::2, 0].tolist() == samples[:, 2:6].tolist()


def test_a_stretched_photo_is_a_square_of_all_of_it():
    samples = np.arange(8 * 4, dtype=np.uint8).reshape(4, 8)
    photo = Image.fromarray(samples).convert("RGB")
    stretched = Preprocessing(resize=4, crop=2, interpolation="nearest").stretched(photo)
    assert stretched[:, :, 0].tolist() == samples[:, 1::2].tolist()


@pytest.mark.parametrize(
    "values",
    [
        {"crop": 256, "resize": 256},
        {"crop": 1, "resize": 1},
        {"crop": 2048, "resize": 4096},
        {"std": (1e-9, 1, 1)},
    ],
)
def test_values_at_their_bounds_are_taken(values):
    assert Preprocessing(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"crop": 257},
        {"mean": (0.5, 0.5)},
        {"std": (0.5, 0.5)},
        {"std": (0.5, 0.5, 0.5, 0.5)},
        {"std": (1, 1, -1)},
        {"std": (1, 1, float("inf"))},
        {"mean": (1, 1, float("nan"))},
        {"crop": 20_000, "resize": 20_000},
        {"crop": 2049, "resize": 4096},
        {"crop": 224, "resize": 4097},
        {"crop": 10**400, "resize": 10**400},
        {"crop": 224.5},
        {"crop": True},
        {"crop": "224"},
    ],
)
def test_values_beyond_their_bounds_are_refused(values):
    with pytest.raises(ValueError, match="found"):
        Preprocessing(**values)


def test_lists_of_json_become_tuples():
    read = Preprocessing(mean=[1, 2, 3], std=[4, 5, 6])  # type: ignore[arg-type]  # as JSON has it
    assert read.mean == (1, 2, 3)
    assert read.std == (4, 5, 6)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    with pytest.raises(PhotoError) as caught:
        read_photo(tmp_path / "gone.jpg")
    path = tmp_path / "gone.jpg"
    assert str(caught.value) == f"photo '{path}' cannot be read: No such file or directory"


def test_a_broken_exif_tag_does_not_cost_the_photo(monkeypatch):
    def broken(image: Image.Image) -> Image.Image:
        raise SyntaxError("not an Exif block")

    monkeypatch.setattr(ImageOps, "exif_transpose", broken)
    image = Image.new("RGB", (2, 1))
    assert upright(image) is image


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", "unknown format"),
        ("cannot identify image file <_io.BytesIO object at 0x7f>", "unknown format"),
        ("x" * 121, "x" * 120),
        ("one\ntwo", "one"),
    ],
)
def test_an_error_of_pillow_is_one_short_line(text, expected):
    assert decoder._first_line(ValueError(text)) == expected
