"""Photos that are handed out say nothing of place, time and owner, and look as before."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from artifact.photos.decoder import decode, open_photo
from artifact.photos.metadata import without_metadata
from tests.support.photo_folders import picture

ORIENTATION = 0x0112
SECRETS = (b"Owner", b"2024:01:01", b"adobe.com/xap", b"my comment", b"GPSArea")


def exif(orientation: int = 6, colour: int = 1) -> Image.Exif:
    """As a phone writes it."""
    found = Image.Exif()
    found[ORIENTATION] = orientation
    found[0x010F] = "Owner"  # the camera's maker
    found[0x8825] = {1: "N", 2: (48.0, 8.0, 14.2), 28: b"GPSArea"}
    found[0x8769] = {0x9003: "2024:01:01 10:00:00", 0xA001: colour}
    return found


def photo(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture(1).save(buffer, kind, **options)
    return buffer.getvalue()


def text() -> PngImagePlugin.PngInfo:
    found = PngImagePlugin.PngInfo()
    found.add_text("Comment", "my comment")
    found.add_itxt("XML:com.adobe.xmp", "adobe.com/xap")
    return found


XMP = b"<x xmlns='http://ns.adobe.com/xap/1.0/'/>"


@pytest.mark.parametrize(
    "data",
    [
        photo("JPEG", exif=exif(), comment=b"my comment", xmp=XMP, icc_profile=b"a profile" * 9),
        photo("JPEG", exif=exif(), progressive=True, icc_profile=b"a profile" * 9),
        photo("JPEG", exif=exif(), icc_profile=b"a profile" * 9)
        + photo("JPEG", exif=exif(), comment=b"my comment"),  # a second picture, as phones append
        photo("PNG", exif=exif(), pnginfo=text(), icc_profile=b"a profile" * 9),
        photo("WEBP", exif=exif(), xmp=XMP, icc_profile=b"a profile" * 9),
    ],
    ids=["jpeg", "progressive", "two", "png", "webp"],
)
def test_only_orientation_and_colour_stay(data):
    assert any(secret in data for secret in SECRETS)
    bare = without_metadata(data)
    assert bare is not None
    assert [secret for secret in SECRETS if secret in bare] == []
    assert np.array_equal(np.asarray(decode(bare)), np.asarray(decode(data)))
    with open_photo(bare) as image:
        found = image.getexif()
        assert dict(found) == {ORIENTATION: 6}
        assert image.info["icc_profile"] == b"a profile" * 9
    assert without_metadata(bare) == bare


TURNED = b'<x:xmpmeta><rdf:Description tiff:Orientation="6" adobe.com/xap/></x:xmpmeta>'


def turned_by_text(name: str, text: str, is_packed: bool) -> bytes:
    found = PngImagePlugin.PngInfo()
    if name.startswith("XML"):
        found.add_itxt(name, text, zip=is_packed)
    else:
        found.add_text(name, text, zip=is_packed)
    return photo("PNG", pnginfo=found)


HEXADECIMAL = f"\nexif\n  40\n{exif().tobytes().hex()}"


@pytest.mark.parametrize(
    "data",
    [
        photo("JPEG", xmp=TURNED),
        photo("WEBP", xmp=TURNED),
        turned_by_text("XML:com.adobe.xmp", TURNED.decode(), False),
        turned_by_text("XML:com.adobe.xmp", TURNED.decode(), True),
        turned_by_text("Raw profile type exif", HEXADECIMAL, True),
    ],
    ids=["jpeg", "webp", "png", "packed", "hexadecimal"],
)
def test_an_orientation_outside_of_exif_stays(data):
    bare = without_metadata(data)
    assert bare is not None
    assert b"xap" not in bare
    assert np.array_equal(np.asarray(decode(bare)), np.asarray(decode(data)))
    assert without_metadata(bare) == bare


def test_parts_that_are_not_known_go():
    png = photo("PNG")
    secret = struct.pack(">L", 5) + b"caBXOwner" + struct.pack(">L", zlib.crc32(b"caBXOwner"))
    assert without_metadata(png[:33] + secret + png[33:]) == png
    webp = photo("WEBP", exif=exif(1))
    assert without_metadata(webp + b"C2PA\5\0\0\0Owner\0") == without_metadata(webp)
    jpeg = photo("JPEG", exif=exif())
    bare = without_metadata(jpeg[:20] + b"stray" + jpeg[20:])  # which decoders skip
    assert bare == without_metadata(jpeg)


def test_a_colour_space_without_profile_stays():
    bare = without_metadata(photo("JPEG", exif=exif(1, colour=65535)))
    assert bare is not None
    with open_photo(bare) as image:
        assert image.getexif().get_ifd(0x8769) == {0xA001: 65535}
        assert ORIENTATION not in image.getexif()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photo_without_metadata_stays_byte_for_byte(kind):
    data = photo(kind)
    assert without_metadata(data) == data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [3, 30, 200, 0.5, 0.99])
def test_a_torn_photo_stays_what_it_is(kind, kept):
    data = photo(kind, exif=exif())
    torn = data[: int(kept if kept > 1 else kept * len(data))]
    bare = without_metadata(torn)
    assert bare is None or len(bare) <= len(torn) + 12


def test_other_formats_are_left_to_the_decoder():
    assert without_metadata(photo("TIFF")) is None
    assert without_metadata(b"") is None
    assert without_metadata(photo("BMP")) == photo("BMP")


def test_a_gif_loses_its_comment_and_keeps_its_pictures():
    pages = [picture(1, "P"), picture(2, "P")]
    buffer = io.BytesIO()
    pages[0].save(
        buffer, "GIF", save_all=True, append_images=pages[1:], loop=3, comment=b"my comment" * 60
    )
    bare = without_metadata(buffer.getvalue())
    assert bare is not None
    assert b"my comment" not in bare
    for number in range(2):
        with open_photo(bare) as image, open_photo(buffer.getvalue()) as before:
            assert image.info["loop"] == 3
            image.seek(number)
            before.seek(number)
            assert image.tobytes() == before.tobytes()


def test_adobe_rgb_stays_named():
    found = Image.Exif()
    found[0x8769] = {0xA001: 65535, 0xA005: {1: "R03"}, 0x9003: "2024:01:01 10:00:00"}
    bare = without_metadata(photo("JPEG", exif=found))
    assert bare is not None
    assert SECRETS[1] not in bare
    with open_photo(bare) as image:
        assert image.getexif().get_ifd(0xA005)[1] == "R03"


def test_every_photo_of_shared_kinds_keeps_its_pixels(tmp_path: Path):
    for mode in ("L", "CMYK", "RGB"):
        buffer = io.BytesIO()
        picture(3, mode).save(buffer, "JPEG", exif=exif())
        bare = without_metadata(buffer.getvalue())
        assert bare is not None
        assert np.array_equal(np.asarray(decode(bare)), np.asarray(decode(buffer.getvalue())))
