"""HEIC and AVIF: what their boxes claim is bounded before a decoder sees them."""

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from artifact.photos.bounds import photo_header
from artifact.photos.decoder import MAX_PIXELS, decode
from artifact.photos.formats import register_heif
from artifact.photos.heif_bounds import MAX_TILES
from artifact.photos.kinds import PhotoError
from tests.support.heic import TILE, box, encoded, grid


def test_a_grid_is_decoded_and_all_its_tiles_count():
    assert decode(grid()).size == (96, 96)
    header = photo_header(grid(), MAX_PIXELS)
    assert (header.width, header.height, header.pixels) == (96, 96, 4 * TILE * TILE)


@pytest.mark.parametrize(
    "data, words",
    [
        (lambda: grid(rows=200, columns=200, refer=MAX_TILES + 1), "1025 tiles; at most 1,024"),
        (lambda: grid(refer=3), "3 tiles in a grid of 2 x 2"),
        (lambda: grid(size=(30_000, 30_000)), "30000 x 30000 pixels; at most"),
        (lambda: grid().replace(b"hvc1", b"avc1"), "a tile of it is no picture"),
        (lambda: grid().replace(b"grid", b"iovl"), "of the kind 'iovl'"),
    ],
)
def test_a_grid_claims_no_more_than_photos_do(data, words):
    with pytest.raises(PhotoError, match=words):
        decode(data())


def test_a_tile_many_times_counts_as_often():
    many = photo_header(grid(rows=32, columns=32, size=(64, 64)), MAX_PIXELS)
    assert many.pixels == 1024 * TILE * TILE
    with pytest.raises(PhotoError, match="64 x 64 pixels, and its parts 4,194,304; at most"):
        photo_header(grid(rows=32, columns=32, size=(64, 64)), 4_000_000)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_coded_picture_that_names_a_larger_size_counts_by_it(kind):
    """The boxes say 16 x 16, and the decoder would take what the picture itself says."""
    data = encoded(kind, (240, 160))
    small = data.replace(struct.pack(">II", 240, 160), struct.pack(">II", 16, 16))
    assert small != data
    header = photo_header(small, MAX_PIXELS)
    assert (header.width, header.height) == (16, 16)
    assert header.pixels >= 240 * 160


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_the_size_of_a_whole_photo_is_its_own(kind):
    for size in ((133, 101), (64, 64)):
        header = photo_header(encoded(kind, size), MAX_PIXELS)
        # HEVC has even sides, and a box that cuts them
        assert (header.width // 2 * 2, header.height // 2 * 2) in (size, (134, 102), (132, 100))
        assert header.pixels <= 1.2 * (size[0] + 8) * (size[1] + 8)


@pytest.mark.parametrize("kind, brand", [("HEIF", b"heic"), ("AVIF", b"avis")])
def test_of_several_pictures_the_first_is_taken(kind, brand):
    register_heif()
    first, second = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")
    buffer = io.BytesIO()
    first.save(buffer, kind, save_all=True, append_images=[second] * 3)
    data = buffer.getvalue()
    assert data[8:12] == brand
    red, *others = np.asarray(decode(data))[30, 30]
    assert red > 240
    assert max(others) < 15


def test_a_film_is_hidden_from_the_decoder():
    """Its tables may claim any number of pictures; they are not read."""
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "AVIF", save_all=True, append_images=frames[1:])
    data = buffer.getvalue()
    start = data.index(b"stts")
    hostile = data[: start + 8] + struct.pack(">III", 1, 2**31, 2**31) + data[start + 20 :]
    assert decode(hostile).size == (64, 64)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_pictures_without_end_are_refused(kind):
    data = encoded(kind)
    start = data.index(b"mdat") + 4
    place = data.index(struct.pack(">I", start))  # of the only item, in iloc
    length = struct.pack(">I", len(data) - start)
    many = data[start:] * 50
    place = data.index(length, place)
    changed = data[:place] + struct.pack(">I", len(many)) + data[place + 4 : start - 8]
    changed += box(b"mdat", many)
    with pytest.raises(PhotoError, match="with several pictures in place of one"):
        decode(changed)


def test_without_pillow_heif_a_sentence_names_the_cure(monkeypatch):
    data = encoded("HEIF")
    register_heif.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r"pillow-heif.*HEIC=0.*save the photo as JPEG"):
        decode(data)


def test_exif_turns_a_heic_that_no_box_turns():
    """A camera writes both, and then the box counts alone."""
    register_heif()
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (96, 32)).save(buffer, "HEIF", exif=exif)
    assert b"irot" not in buffer.getvalue()
    assert not photo_header(buffer.getvalue(), MAX_PIXELS).is_turned
    assert decode(buffer.getvalue()).size == (32, 96)
    turned = grid(size=(96, 64), more=box(b"irot", b"\1"))
    assert photo_header(turned, MAX_PIXELS).is_turned
    assert decode(turned).size == (64, 96)


def test_exif_is_counted_wherever_its_item_says_that_it_begins():
    register_heif()
    tags = b"".join(struct.pack("<HHII", 0x9000 + tag, 3, 1, 1) for tag in range(1500))
    exif = b"before it all" + b"II*\0" + struct.pack("<IH", 8, 1500) + tags + bytes(4)
    buffer = io.BytesIO()
    Image.new("RGB", (96, 32)).save(buffer, "HEIF", exif=exif)
    with pytest.raises(PhotoError, match="far more Exif tags"):
        photo_header(buffer.getvalue(), MAX_PIXELS)
