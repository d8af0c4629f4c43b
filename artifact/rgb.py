"""Any of Pillow's modes to RGB: alpha laid on white, deep samples scaled to 8 bits."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STRIP_PIXELS = 1_000_000


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
        return _by_strips(image, _on_white)
    return image.convert("RGB")


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


def _on_white(image: Image.Image) -> Image.Image:
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
