"""Photos that are decoded smaller, and odd ones that browsers show."""

import io

import numpy as np
import pytest
from PIL import Image

from artifact.photos.decoder import decode, decode_reduced
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing
from artifact.photos.shrinking import GAP, factor_for
from local_test.hostile_photos import grey, tiff

CLOSE = 1.0  # of 255, on average
SIZING = Preprocessing(resize=72, crop=64)


def busy(size: tuple[int, int]) -> Image.Image:
    """Edges and noise, which suffer most from shrinking."""
    image = Image.effect_mandelbrot(size, (-2, -1, 1, 1), 60).convert("RGB")
    noise = np.random.default_rng(0).normal(0, 6, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subsampling": 0, "quality": 95},
        {"progressive": True},
        *({"exif": turned(orientation)} for orientation in range(2, 9)),
        {"kind": "PNG", "compress_level": 1},
        {"kind": "WEBP", "exif": turned(6)},
        {"kind": "TIFF"},
    ],
)
@pytest.mark.parametrize("size", [(701, 521), (240, 900)])
def test_a_photo_that_comes_smaller_gives_nearly_the_same_pixels(options, size):
    data = encoded(busy(size), **options)
    reduced = decode_reduced(data, SIZING.resize)
    whole = decode(data)
    assert reduced.factor == factor_for(size, SIZING.resize) > 1
    assert reduced.size == whole.size
    for sized in (SIZING.pixels, SIZING.stretched):
        difference = np.abs(sized(reduced).astype(int) - sized(whole))
        assert difference.mean() < CLOSE


@pytest.mark.parametrize("smallest, factor", [(0, 1), (72, 4), (256, 1), (1000, 1), (30, 8)])
def test_the_factor_leaves_a_photo_larger_than_it_is_needed(smallest, factor):
    size = (int(72 * 4 * GAP) + 1, 5000)
    assert factor_for(size, smallest) == factor


def test_small_photos_are_not_touched():
    data = encoded(busy((100, 80)))
    assert decode_reduced(data, 72).image.tobytes() == decode(data).tobytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_without_its_end_marker_is_whole(options, missing):
    data = encoded(busy((120, 90)), **options)
    assert decode(data[:-missing]).tobytes() == decode(data).tobytes()
    assert decode_reduced(data[:-missing], 20).factor == 2


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95, 0.99])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_is_cut_within_its_samples_is_refused(share, options):
    data = encoded(busy((120, 90)), **options)
    with pytest.raises(PhotoError, match="not a complete photo"):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind, expected", [(0, 155), (1, 255 - 100 + 60), (2, 155)])
def test_grey_with_alpha_lies_on_white(order, kind, expected):
    """Grey of 60 under an alpha of 100: as it is, or darkened by it already."""
    sample = 60 if kind == 1 else 0
    entries = grey(8, 8) | {277: (3, [2]), 258: (3, [8, 8]), 338: (3, [kind])}
    data = tiff(entries, order, content=bytes([sample, 100]) * 64)
    red, green, blue = np.asarray(decode(data))[3, 3]
    assert red == green == blue
    assert abs(int(red) - expected) <= 1


def test_a_transparent_sample_of_deep_grey_is_white():
    samples = np.full((8, 8), 20_000, np.uint16)
    samples[:4] = 500
    data = encoded(Image.fromarray(samples), "PNG", transparency=500)
    photo = decode(data)
    assert photo.getpixel((0, 0)) == (255, 255, 255)
    assert photo.getpixel((0, 7)) == (78, 78, 78)


def test_a_gif_is_white_around_its_first_picture():
    data = bytearray(encoded(Image.new("P", (8, 8), 1), "GIF"))
    place = data.index(b"\x2c")
    data[6:10] = (20).to_bytes(2, "little") * 2  # the canvas
    data[place + 1 : place + 5] = (4).to_bytes(2, "little") * 2  # left and top
    photo = decode(bytes(data))
    assert photo.size == (20, 20)
    assert photo.getpixel((0, 0)) == photo.getpixel((15, 15)) == (255, 255, 255)
    assert photo.getpixel((6, 6)) != (255, 255, 255)
