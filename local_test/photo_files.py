"""Pictures as files, also as those that real photo folders hold: turned, grey, broken, misnamed."""

import io
from collections.abc import Callable
from typing import Any

from PIL import Image

ORIENTATION = 0x0112  # EXIF's tag
TURNED = 6  # its value for a photo that a reader must turn by a quarter


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:  # Pillow's, by kind
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def as_jpeg(image: Image.Image) -> bytes:
    return _encoded(image, "JPEG", quality=88)


def truncated(image: Image.Image) -> bytes:
    """The first half of a JPEG, as a broken download leaves it."""
    data = as_jpeg(image)
    return data[: len(data) // 2]


def _png_with_alpha(image: Image.Image) -> bytes:
    """A PNG whose corners are transparent."""
    alpha = Image.radial_gradient("L").resize(image.size)
    # Opaque up to 200 of 255 in the gradient, then ever less.
    opaque_inside = [255] * 200 + [2 * (255 - value) for value in range(200, 256)]
    image.putalpha(alpha.point(opaque_inside))
    return _encoded(image, "PNG")


def _sideways(image: Image.Image) -> bytes:
    """Stored a quarter turn off, with the tag by which a reader turns it back, as phones do."""
    exif = Image.Exif()
    exif[ORIENTATION] = TURNED
    turned = image.transpose(Image.Transpose.ROTATE_90)
    return _encoded(turned, "JPEG", quality=88, exif=exif)


def _grey(image: Image.Image) -> bytes:
    return as_jpeg(image.convert("L"))


def _cmyk(image: Image.Image) -> bytes:
    return _encoded(image.convert("CMYK"), "JPEG", quality=90)


def _palette(image: Image.Image) -> bytes:
    return _encoded(image.quantize(128), "PNG")


def _webp(image: Image.Image) -> bytes:
    return _encoded(image, "WEBP", quality=88)


# One of each kind: the pattern of its name, and how it is encoded. Names lie on purpose.
AWKWARD: list[tuple[str, Callable[[Image.Image], bytes]]] = [
    ("{pose}_{number:03d}.png", _png_with_alpha),
    ("{pose}_{number:03d} grey.jpg", _grey),
    ("{pose}_{number:03d}_cmyk.jpg", _cmyk),
    ("{pose}_{number:03d}_sideways.jpg", _sideways),
    ("{pose}_{number:03d}_palette.png", _palette),
    ("{pose}_{number:03d}_webp.jpg", _webp),
    ("{pose} {number:03d} (my photo).jpg", as_jpeg),
]
