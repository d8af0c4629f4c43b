"""Colour: samples by a photo's own ICC profile become sRGB, once, for training and serving.

Little CMS does it, by way of Pillow. A profile that is damaged, or of another kind of samples than
the photo's, is left out, as browsers do.
"""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 4_000_000  # those of printers have up to 3 MB
KEPT = 16  # conversions; the photos of one camera have one profile
SAME = 2  # of 255: a profile that changes no colour by more is sRGB's own
# Samples of Pillow's modes, as profiles name them.
SPACES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}
DEEP = ("I;16", "I;16L", "I;16B")  # greyscale of 16 bits
PROBE_STEPS = 9  # of a channel


def to_srgb(image: Image.Image) -> Image.Image:
    """The image in sRGB, of mode RGB or RGBA; the image itself where it has no other profile."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 128 < len(profile) <= MAX_PROFILE_BYTES:
        return image
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
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
