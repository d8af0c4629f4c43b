"""The decoder of version 1, for models whose model.json names none: as Slipway 0.1.0 decoded.

It takes no notice of ICC profiles, and decodes each photo whole. A model answers by the pixels that
it was trained on, so this module stays as it is.
"""

from PIL import Image

from artifact.photos.colour import to_rgb
from artifact.photos.decoder import as_photo_errors, open_photo, upright


def decode(data: bytes, max_pixels: int) -> Image.Image:
    """A photo as RGB, upright, alpha on white. Raises PhotoError."""
    image = open_photo(data, max_pixels)
    try:
        with as_photo_errors():
            image.load()
            turned = upright(image)
            if turned is not image:
                image.close()
            return to_rgb(turned)
    except BaseException:
        image.close()  # else the samples live as long as the error's traceback does
        raise
