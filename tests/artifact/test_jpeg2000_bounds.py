"""JPEG 2000 and PPM: what their headers claim is bounded before a decoder sees them."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from artifact.photos.bounds import photo_header
from artifact.photos.decoder import MAX_PIXELS, decode
from artifact.photos.kinds import PhotoError

SIDE = 96


def encoded(kind: str = "JPEG2000", mode: str = "RGB", **options: object) -> bytes:
    image = Image.effect_mandelbrot((SIDE, SIDE), (-2, -1, 1, 1), 60).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_numbers(at: int, form: str, *values: int, data: bytes = b"") -> bytes:
    """A JPEG 2000 with other numbers at a place of its SIZ segment."""
    data = data or encoded()
    start = data.index(b"\xff\x51") + 4 + at
    packed = struct.pack(form, *values)
    return data[:start] + packed + data[start + len(packed) :]


def with_coding(at: int, form: str, *values: int) -> bytes:
    """A JPEG 2000 with other numbers at a place of its COD segment."""
    data = encoded()
    start = data.index(b"\xff\x52\0") + 4 + at
    packed = struct.pack(form, *values)
    return data[:start] + packed + data[start + len(packed) :]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("options", [{}, {"no_jp2": True}, {"tile_size": (32, 32)}])
def test_a_jpeg_2000_is_decoded(mode, options):
    data = encoded(mode=mode, **options)
    header = photo_header(data, MAX_PIXELS)
    assert (header.width, header.height) == (SIDE, SIDE)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    difference = np.abs(np.asarray(decode(data), int) - np.asarray(expected, int))
    assert difference.mean() < 1


@pytest.mark.parametrize(
    "data, words",
    [
        (with_numbers(2, ">II", 6000, 6000), "6000 x 6000 pixels.*at most"),
        (with_numbers(18, ">II", 1, 1), "9216 tiles; at most 4,096"),
        (with_numbers(18, ">II", 0, 1), "without a size"),
        (with_numbers(34, ">H", 9), "9 components; at most 4"),
        (with_coding(2, ">H", 65_535), "65535 layers"),
        (encoded()[:60], "not a complete photo"),
        (encoded().replace(b"jp2c", b"jp2x"), "without a picture"),
    ],
)
def test_a_jpeg_2000_claims_no_more_than_photos_do(data, words):
    with pytest.raises(PhotoError, match=words):
        decode(data, max_pixels=1_000_000)


def test_a_tile_of_its_own_coding_counts():
    """A tile's header may name smaller code blocks than the main header."""
    data = encoded(no_jp2=True)
    plain = photo_header(data, MAX_PIXELS).pixels
    start = data.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", data, start + 6)
    coding = bytes.fromhex("ff52000c00000001000500000001")  # blocks of 4 x 4
    part = data[start : start + 6] + struct.pack(">I", length + len(coding)) + data[start + 10 :]
    hostile = data[:start] + part[:12] + coding + part[12:]
    assert photo_header(hostile, MAX_PIXELS).pixels > 2 * plain


def test_precincts_without_end_are_refused():
    data = encoded(no_jp2=True, precinct_size=(64, 64), codeblock_size=(32, 32))
    start = data.index(b"\xff\x52\0") + 14
    hostile = data[:start] + bytes(6) + data[start + 6 :]
    large = with_numbers(2, ">IIII", 8000, 8000, 0, 0, data=hostile)
    large = with_numbers(18, ">II", 8000, 8000, data=large)
    with pytest.raises(PhotoError, match="far more packets"):
        photo_header(large, MAX_PIXELS)


@pytest.mark.parametrize(
    "data",
    [
        b"P1\n# bits\n2 2\n0 1\n1 0\n",
        b"P2 2 2 255 0 255 255 0 ",
        b"P3\n2 2\n255\n" + b"0 0 0 255 255 255 " * 2,
        b"P4 2 2\n\x40\x80",
        b"P5 2 2 255\n\x00\xff\xff\x00",
        b"P5 2 2 65535\n\0\0\xff\xff\xff\xff\0\0",
        b"P6\n# a comment\n2 2 # another\n255\n" + b"\0\0\0\xff\xff\xff" * 2,
        b"P6 2 2 1023\n" + (b"\0\0" * 3 + b"\3\xff" * 3) * 2,
    ],
)
def test_each_kind_of_ppm_is_decoded(data):
    photo = decode(data)
    assert photo.size == (2, 2)
    assert {photo.getpixel((x, y)) for x in (0, 1) for y in (0, 1)} == {(0,) * 3, (255,) * 3}


@pytest.mark.parametrize(
    "data, words",
    [
        (b"P3 2000 2000 255 ", "2000 x 2000 pixels as text or of 256 steps; at most 3,000,000"),
        (b"P6 2000 2000 1023 ", "2000 x 2000 pixels as text or of 1024 steps"),
        (b"P6 20000 20000 255 ", "20000 x 20000 pixels; at most"),
        (b"P6 #" + bytes(9000) + b"\n2 2 255 ", "without a size"),
        (b"P2 2 2 255 " + b"#\n" * 2000, "far more text than samples"),
        (b"P2 2 2 255 " + b" " * 9000, "far more text than samples"),
        (b"P6 2 2 255 \0", "not a complete photo"),
        (b"P6 2 2", "without a size"),
    ],
)
def test_a_ppm_that_is_slow_or_not_whole_is_refused(data, words):
    with pytest.raises(PhotoError, match=words):
        decode(data)
