"""Photos that are decoded smaller than they are, for callers that shrink them anyway.

libjpeg decodes a block of 8 x 8 samples as 4 x 4, 2 x 2 or 1, in a third of the time. On photos of
12 megapixels the pixels of a network differ by 0.3 of 255 from those by way of the whole photo.
"""

from dataclasses import dataclass, replace

from PIL import Image

from artifact.photos.formats import PhotoHeader

JPEGS = ("JPEG", "MPO")
FACTORS = (8, 4, 2)
COEFFICIENTS = 0.4  # memory of a pixel's coefficients, in that of a pixel (CMYK: 9 of 22 bytes)
# Memory of a pixel, in that of a pixel of the dearest format: libheif was seen to take 11 bytes in
# a grid of tiles and 13 in AVIF, where a lossless WebP takes 22. Here are 14 and 16.
HELD_SHARE = {"HEIF": 0.64, "AVIF": 0.73}
# How many times larger than the caller's size a photo stays: at 1.3 the difference is 0.8 of 255.
GAP = 1.6
AVERAGED = ("RGB", "RGBA", "L", "LA", "CMYK")  # modes that Pillow can average


Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Reduced:
    """A photo that may have come smaller than it is.

    image: RGB, upright, with 1/factor of the whole photo's sides, rounded up. size: width and
    height of the whole photo. start: where it begins in the image, in parts of a pixel: a photo
    that is turned has what was rounded up before its beginning.
    """

    image: Image.Image
    size: tuple[int, int]
    factor: int = 1
    start: tuple[float, float] = (0.0, 0.0)

    def box(self, left: float, top: float, right: float, bottom: float) -> Box:
        """A part of the whole photo, in the image."""
        x, y = self.start
        factor = self.factor
        return x + left / factor, y + top / factor, x + right / factor, y + bottom / factor


def factor_for(size: tuple[int, int], smallest: int) -> int:
    """By how much a photo may shrink whose shorter side then becomes `smallest` pixels."""
    if smallest:
        for factor in FACTORS:
            if min(size) >= factor * GAP * smallest:
                return factor
    return 1


def decoded_for(header: PhotoHeader, smallest: int) -> PhotoHeader:
    """The header with the pixels that decoding holds for a caller who shrinks a JPEG to that.

    A pixel of HEIC and AVIF counts less, for it takes less memory than others.
    """
    if header.format in HELD_SHARE:
        return replace(header, held=int(header.whole * HELD_SHARE[header.format]))
    factor = factor_for((header.width, header.height), smallest)
    if header.format != "JPEG" or factor == 1:
        return header
    held = -(-header.width // factor) * -(-header.height // factor)
    # a JPEG of several scans keeps all of its coefficients until the last one
    if header.passes > 1:
        held += int(header.width * header.height * COEFFICIENTS)
    return replace(header, held=held)


def shrink_on_load(image: Image.Image, smallest: int) -> int:
    """Have a JPEG decoded smaller; the factor."""
    factor = factor_for(image.size, smallest) if image.format in JPEGS else 1
    if factor > 1:
        image.draft(None, (image.width // factor, image.height // factor))
    return factor


def shrunk(image: Image.Image, smallest: int) -> tuple[Image.Image, int]:
    """A decoded photo averaged to less, and the factor: its colours cost more than that."""
    factor = factor_for(image.size, smallest) if image.mode in AVERAGED else 1
    if factor == 1 or "transparency" in image.info:
        return image, 1
    return image.reduce(factor), factor


def start_after_turning(
    orientation: int, size: tuple[int, int], factor: int
) -> tuple[float, float]:
    """Where a shrunk photo begins once it is turned: x and y in the image.

    size: of the whole photo before. The image was rounded up at its right and lower side, and
    EXIF's orientation says where these come to lie.
    """
    right, lower = (-side % factor / factor for side in size)
    starts = {
        **{2: (right, 0.0), 3: (right, lower), 4: (0.0, lower)},
        **{6: (lower, 0.0), 7: (lower, right), 8: (0.0, right)},
    }
    return starts.get(orientation, (0.0, 0.0))
