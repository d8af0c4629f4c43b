"""Colour: any of Pillow's modes to RGB of 8 bits in sRGB, on white, once, for training and serving.

Samples by a photo's own ICC profile become sRGB: Little CMS does it, by way of Pillow. A profile
that is damaged, or of another kind of samples than the photo's, is left out, as browsers do. Deep
samples are scaled to 8 bits. Transparent samples, and a canvas around a picture, become white.
"""

import functools
import hashlib
import io
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageCms

from artifact.photos.colour_numbers import ColourNumbers, profile_of

DEEP_GREY = "I;16"
PREMULTIPLIED = "premultiplied"  # in the info of an image: its samples are darkened by its alpha
Box = tuple[int, int, int, int]
MAX_PROFILE_BYTES = 4_000_000  # those of printers have up to 3 MB
KEPT = 16  # conversions; the photos of one camera have one profile
SAME = 2  # of 255: a profile that changes no colour by more is sRGB's own
# Samples of Pillow's modes, as profiles name them.
SPACES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}
DEEP = ("I;16", "I;16L", "I;16B")  # greyscale of 16 bits
GREY = ("L", "LA", *DEEP)
PROBE_STEPS = 9  # of a channel
STRIP_PIXELS = 1_000_000


def note_profile(image: Image.Image, profile: bytes, numbers: ColourNumbers | None) -> None:
    """Note the colours that the file's header names, and that Pillow leaves out."""
    if numbers:
        profile = profile_of(numbers, image.mode in GREY)
    if profile:
        image.info["icc_profile"] = profile


def first_picture(image: Image.Image) -> Box | None:
    """Where a GIF's first picture lies on its canvas; None where it covers all."""
    place = getattr(image, "dispose_extent", None)
    if image.format != "GIF" or not place or tuple(place) == (0, 0, *image.size):
        return None
    left, top, right, bottom = place
    return left, top, right, bottom


def on_white(image: Image.Image, place: Box | None) -> Image.Image:
    """The image in sRGB and RGB. place: where its picture is, outside of which it is white."""
    if image.info.get(PREMULTIPLIED) and image.mode == "LA":
        grey, alpha = image.split()
        image = ImageChops.add(grey, ImageChops.invert(alpha))
    clear = _clear_samples(image)
    photo = to_rgb(to_srgb(image))
    if clear is not None:
        photo.paste("white", mask=clear)
    if place is None:
        return photo
    canvas = Image.new("RGB", photo.size, "white")
    canvas.paste(photo.crop(place), place)
    return canvas


def _clear_samples(image: Image.Image) -> Image.Image | None:
    """A mask of the transparent samples of deep greyscale, which Pillow's conversions leave out."""
    value = image.info.get("transparency")
    if not image.mode.startswith(DEEP_GREY) or not isinstance(value, int):
        return None
    return Image.fromarray((np.asarray(image) == value).astype(np.uint8) * 255)


def to_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB, of mode RGB or RGBA; the image itself where it has no other profile."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 128 < len(profile) <= MAX_PROFILE_BYTES:
        return image
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode in ("RGB", "L") and "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    if image.mode == "LA":
        return _grey_with_alpha(image, profile)
    mode = "I;16" if image.mode in DEEP else image.mode
    if mode != "I;16" and mode not in SPACES:
        return image
    conversion = _conversion(profile, mode)
    if conversion is None:
        return image
    if image.mode != mode:
        image = Image.fromarray(np.asarray(image).astype(np.uint16))
    return conversion.apply(image)


def _grey_with_alpha(image: Image.Image, profile: bytes) -> Image.Image:
    conversion = _conversion(profile, "L")
    if conversion is None:
        return image
    photo = conversion.apply(image.getchannel("L"))
    photo.putalpha(image.getchannel("A"))
    return photo


@functools.lru_cache(KEPT)
def _conversion(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile's samples to sRGB; None where there is nothing to convert.

    Relative colorimetric, without black point compensation: what libvips does by default.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != SPACES.get(mode, "GRAY"):
            return None
        conversion = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGBA" if mode == "RGBA" else "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode == "RGB" and _changes_nothing(conversion) else conversion


def _changes_nothing(conversion: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours from all over the cube stay as they are."""
    steps = np.linspace(0, 255, PROBE_STEPS).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    changed = np.asarray(conversion.apply(Image.fromarray(colours)))
    return bool(np.abs(changed.astype(int) - colours).max() <= SAME)


def to_rgb(image: Image.Image) -> Image.Image:
    """RGB from any Pillow mode: alpha composed on white, 16-bit and float samples scaled to 8 bits.

    A conversion with several copies is done in strips: a large photo needs little more memory than
    its RGB.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        full = _full_scale(image)
        return _by_strips(image, lambda strip: _eight_bits(strip, full))
    if image.has_transparency_data:
        return _by_strips(image, _alpha_on_white)
    return image.convert("RGB")


def samples_digest(image: Image.Image) -> bytes:
    """A digest of an image's samples, in the memory of a strip."""
    digest = hashlib.blake2b()
    for strip, _ in _strips(image):
        digest.update(strip.tobytes())
    return digest.digest()


def _by_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """An RGB photo, converted strip by strip."""
    photo = Image.new("RGB", image.size)
    for strip, top in _strips(image):
        photo.paste(convert(strip), (0, top))
    return photo


def _strips(image: Image.Image) -> Iterator[tuple[Image.Image, int]]:
    """Parts of the image over its whole width, of about STRIP_PIXELS each, and where they begin."""
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height))), top


def _alpha_on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    photo = Image.new("RGB", rgba.size, "white")
    photo.paste(rgba, mask=rgba.getchannel("A"))
    return photo


def _full_scale(image: Image.Image) -> float:
    """The sample that stands for white: 16-bit integers keep their top byte, others their range."""
    top = max(float(_samples(strip).max(initial=0.0)) for strip, _ in _strips(image))
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode.startswith("I"):
        return 65535.0 if 255 < top <= 65535 else max(255.0, top)
    if top <= 1.0:
        return 1.0
    return max(255.0, top)


def _eight_bits(image: Image.Image, full: float) -> Image.Image:
    """Greyscale of more than 8 bits to L."""
    scaled = np.clip(_samples(image) * (255.0 / full), 0, 255)
    return Image.fromarray(scaled.round().astype(np.uint8))


def _samples(image: Image.Image) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)
