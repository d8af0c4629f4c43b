"""Colours by ICC profiles, held against libvips as a second decoder."""

import functools
import io
from collections.abc import Callable

import numpy as np
import pytest
import pyvips
from PIL import Image

from artifact.photos import colour
from artifact.photos.decoder import decode
from artifact.photos.formats import register_heif
from tests.support.profiles import PRIMARIES, display, grey

CLOSE = 2.0  # of 255, on average


def scene(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A photo of many colours that change slowly."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    channels = (x, y, (1 - x) * y, x * (1 - y))
    samples = np.stack([channels[0], channels[1], (channels[2] + channels[3])], axis=-1)
    return Image.fromarray((samples * 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_vips(data: bytes) -> np.ndarray:
    """RGB as libvips converts it: int [H, W, 3]."""
    image = pyvips.Image.new_from_buffer(data, "")
    image = image.icc_transform("srgb", embedded=True, intent="relative")
    if image.format != "uchar":
        image = (image / 257).cast("uchar")
    return np.asarray(image)[..., :3].astype(int)


def deep_rgb(profile: bytes) -> bytes:
    """A PNG of 16 bits, which Pillow does not write; linear light."""
    light = (np.asarray(scene()) / 255.0) ** 2.2 * 65535
    image = pyvips.Image.new_from_array(light.astype(np.uint16)).copy(interpretation="rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    written: bytes = image.write_to_buffer(".png", bitdepth=16)
    return written


def deep_grey() -> Image.Image:
    return Image.fromarray(np.asarray(scene().convert("L")).astype(np.uint16) * 257)


CMYK = pyvips.Image.profile_load("cmyk")
PHOTOS: dict[str, Callable[[], bytes]] = {
    **{
        name: functools.partial(encoded, scene(), "PNG", icc_profile=display(name))
        for name in PRIMARIES
    },
    "linear": lambda: encoded(scene(), "PNG", icc_profile=display("sRGB", 1.0)),
    "linear, 16 bits": lambda: deep_rgb(display("sRGB", 1.0)),
    "grey": lambda: encoded(scene().convert("L"), "JPEG", icc_profile=grey(1.8)),
    "grey, linear, 16 bits": lambda: encoded(deep_grey(), "PNG", icc_profile=grey(1.0)),
    "CMYK JPEG": lambda: encoded(scene().convert("CMYK"), "JPEG", icc_profile=CMYK),
    "CMYK TIFF": lambda: encoded(scene().convert("CMYK"), "TIFF", icc_profile=CMYK),
    "WebP": lambda: encoded(scene(), "WEBP", lossless=True, icc_profile=display("Display-P3")),
}


@pytest.mark.parametrize("name", PHOTOS)
def test_colours_are_those_of_a_second_decoder(name):
    data = PHOTOS[name]()
    ours = np.asarray(decode(data)).astype(int)
    assert np.abs(ours - by_vips(data)).mean() < CLOSE


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000", "TIFF"])
def test_other_formats_carry_profiles_too(kind):
    register_heif()
    profile = display("ProPhoto")
    plain = np.asarray(decode(encoded(scene(), "PNG", icc_profile=profile))).astype(int)
    data = encoded(
        scene(), kind, icc_profile=profile, **({"quality": 95} if kind != "JPEG2000" else {})
    )
    if kind == "JPEG2000":
        data = with_profile(data, profile)
    assert np.abs(np.asarray(decode(data)).astype(int) - plain).mean() < CLOSE


def with_profile(data: bytes, profile: bytes) -> bytes:
    """A JP2 with a profile in its colr box, which Pillow does not write."""
    start = data.index(b"colr") - 4
    box = (11 + len(profile)).to_bytes(4, "big") + b"colr\2\0\0" + profile
    header = data.index(b"jp2h") - 4
    length = int.from_bytes(data[header : header + 4], "big") + len(box) - 15
    return (
        data[:header]
        + length.to_bytes(4, "big")
        + data[header + 4 : start]
        + box
        + data[start + 15 :]
    )


@pytest.mark.parametrize(
    "mode, kind, options",
    [("RGBA", "PNG", {}), ("LA", "PNG", {}), ("P", "PNG", {"transparency": 3}), ("P", "PNG", {})],
)
def test_alpha_and_palettes_stay_what_they_are(mode, kind, options):
    """The colours are converted, and what is transparent is white."""
    image = scene().convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    profile = grey(1.0) if mode == "LA" else display("ProPhoto")
    plain = np.asarray(decode(encoded(image, kind, **options))).astype(int)
    ours = np.asarray(decode(encoded(image, kind, icc_profile=profile, **options))).astype(int)
    assert np.abs(ours - plain).mean() > 3
    assert (ours[plain.min(axis=-1) == 255] == 255).all()


@pytest.mark.parametrize(
    "profile",
    [
        *(b"", bytes(500), b"no profile" * 100, grey(2.2), display("ProPhoto")[:300]),
        display("ProPhoto") + bytes(colour.MAX_PROFILE_BYTES),
    ],
)
def test_a_profile_that_is_none_is_left_out(profile):
    plain = decode(encoded(scene(), "TIFF"))
    assert decode(encoded(scene(), "TIFF", icc_profile=profile)).tobytes() == plain.tobytes()


def test_a_profile_of_srgb_changes_no_sample():
    profile = pyvips.Image.profile_load("srgb")
    plain = decode(encoded(scene(), "PNG"))
    assert decode(encoded(scene(), "PNG", icc_profile=profile)).tobytes() == plain.tobytes()
