"""What lies on white, as browsers show it: transparent samples, and a canvas around a picture."""

import numpy as np
from PIL import Image, ImageChops

from artifact.colour import to_srgb
from artifact.rgb import to_rgb

DEEP_GREY = "I;16"
PREMULTIPLIED = "premultiplied"  # in the info of an image: its samples are darkened by its alpha
Box = tuple[int, int, int, int]


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
