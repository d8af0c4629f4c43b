"""Colours that headers name by numbers: PNG's cICP, gAMA and cHRM, HEIC's and AVIF's nclx."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from artifact.photos.colour_numbers import SRGB
from artifact.photos.decoder import decode
from artifact.photos.formats import register_heif
from tests.artifact.test_colour import encoded, scene
from tests.support.profiles import display, grey

CLOSE = 3.0  # of 255, on average: HEIC and AVIF are lossy
LINEAR = struct.pack(">I", 100_000)
SRGB_POINTS = struct.pack(">8I", *(round(value * 100_000) for value in SRGB))
P3_POINTS = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)


def chunk(name: bytes, content: bytes) -> bytes:
    checked = name + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(image: Image.Image, *chunks: bytes, **options: object) -> bytes:
    """A PNG with chunks behind its first one."""
    data = encoded(image, "PNG", **options)
    return data[:33] + b"".join(chunks) + data[33:]


def linear(image: Image.Image) -> Image.Image:
    """The samples as parts of light."""
    samples = np.asarray(image) / 255.0
    light = np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)
    return Image.fromarray((light * 255).round().astype(np.uint8))


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)


def nclx(image: Image.Image, kind: str, primaries: int, transfer: int) -> bytes:
    data = encoded(image, kind, quality=95)
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def difference(data: bytes, expected: Image.Image) -> float:
    found = np.asarray(decode(data)).astype(int)
    return float(np.abs(found - np.asarray(expected.convert("RGB"))).mean())


@pytest.mark.parametrize(
    "chunks", [(chunk(b"gAMA", LINEAR),), (chunk(b"cICP", b"\1\x08\0\1"),)], ids=["gAMA", "cICP"]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16"])
def test_linear_light_of_a_png(chunks, mode):
    photo = scene().convert("L") if mode in ("L", "I;16") else scene()
    if mode == "P":
        photo = scene().quantize(200).convert("RGB")
    dark = linear(photo)
    image = {"P": lambda: dark.quantize(256), "I;16": lambda: deep(dark)}.get(mode, lambda: dark)()
    assert difference(png(image, *chunks), photo) < CLOSE


def test_primaries_of_a_png_are_those_of_the_same_profile():
    expected = decode(encoded(scene(), "PNG", icc_profile=display("Display-P3")))
    points = struct.pack(">8I", *(round(value * 100_000) for value in P3_POINTS))
    gamma = chunk(b"gAMA", struct.pack(">I", 45_455))
    for chunks in ([chunk(b"cICP", b"\x0c\x0d\0\1")], [gamma, chunk(b"cHRM", points)]):
        assert difference(png(scene(), *chunks), expected) < CLOSE


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_numbers_of_heic_and_avif(kind):
    register_heif()
    expected = decode(encoded(scene(), "PNG", icc_profile=display("Display-P3")))
    assert difference(nclx(scene(), kind, 12, 13), expected) < CLOSE
    assert difference(nclx(linear(scene()), kind, 1, 8), scene()) < CLOSE


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(b"cICP", b"\1\x0d\0\1"), chunk(b"gAMA", LINEAR)],
        [chunk(b"cICP", b"\2\2\0\1")],
        [chunk(b"cICP", b"\1\x08\0\0")],
        [chunk(b"cICP", b"\1")],
        [chunk(b"sRGB", b"\0"), chunk(b"gAMA", LINEAR)],
        [chunk(b"gAMA", struct.pack(">I", 45_455)), chunk(b"cHRM", SRGB_POINTS)],
        [chunk(b"gAMA", struct.pack(">I", 45_455)), chunk(b"cHRM", bytes(32))],
        [chunk(b"gAMA", bytes(4))],
        [chunk(b"gAMA", b"\xff\xff\xff\xff")],
        [chunk(b"cHRM", struct.pack(">8I", *[30_000] * 8))],
    ],
)
def test_numbers_of_srgb_and_numbers_that_are_none_change_nothing(chunks):
    assert decode(png(scene(), *chunks)).tobytes() == scene().tobytes()


def test_a_profile_counts_before_gamma_and_not_before_cicp():
    profile = display("ProPhoto")
    expected = decode(png(scene(), icc_profile=profile))
    data = png(scene(), chunk(b"gAMA", LINEAR), icc_profile=profile)
    assert decode(data).tobytes() == expected.tobytes()
    data = png(scene(), chunk(b"cICP", b"\1\x0d\0\1"), icc_profile=profile)
    assert decode(data).tobytes() != expected.tobytes()


@pytest.mark.parametrize("transfer, white", [(16, 148), (18, 191)])
def test_the_light_of_a_white_page_is_white_and_brighter_light_is_too(transfer, white):
    """PQ has 203 nits at 0.58, and HLG at 0.75."""
    samples = [0, white // 2, white, 255]
    photo = Image.fromarray(np.array([[[value] * 3 for value in samples]], np.uint8))
    found = np.asarray(decode(png(photo, chunk(b"cICP", bytes([1, transfer, 0, 1])))))[0, :, 0]
    assert found[0] == 0
    assert 40 < found[1] < 160
    assert found[2] >= 250
    assert found[3] == 255


@pytest.mark.parametrize("mode, profile", [("RGB", display("ProPhoto")), ("L", grey(1.0))])
def test_a_transparent_colour_is_white_beside_a_profile(mode, profile):
    photo = scene().convert(mode)
    key: tuple[int, int, int] | int = (1, 2, 3) if mode == "RGB" else 7
    photo.paste(key, (0, 0, 20, 20))
    buffer = io.BytesIO()
    photo.save(buffer, "PNG", transparency=key, icc_profile=profile)
    found = decode(buffer.getvalue())
    assert found.getpixel((5, 5)) == (255, 255, 255)
    opaque = decode(encoded(photo, "PNG", icc_profile=profile))
    assert found.crop((30, 30, 96, 64)).tobytes() == opaque.crop((30, 30, 96, 64)).tobytes()
