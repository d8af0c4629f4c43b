"""Photos that are decoded smaller than they are, for callers that shrink them anyway.

libjpeg decodes a block of 8 x 8 samples as 4 x 4, 2 x 2 or 1, in a third of the time. On photos of
12 megapixels the pixels of a network differ by 0.3 of 255 from those by way of the whole photo.
"""

from PIL import Image

JPEGS = ("JPEG", "MPO")
FACTORS = (8, 4, 2)
# How many times larger than the caller's size a photo stays: at 1.3 the difference is 0.8 of 255.
GAP = 1.6
AVERAGED = ("RGB", "RGBA", "L", "LA", "CMYK")  # modes that Pillow can average


def factor_for(size: tuple[int, int], smallest: int) -> int:
    """By how much a photo may shrink whose shorter side then becomes `smallest` pixels."""
    if smallest:
        for factor in FACTORS:
            if min(size) >= factor * GAP * smallest:
                return factor
    return 1


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
