"""A JPEG of pixels alone, without what the file that they came from said besides."""

import io

from PIL import Image

QUALITY = 95
SUBSAMPLING_444 = 0  # Pillow's number for full colour resolution


def encode_jpeg(photo: Image.Image) -> bytes:
    """The photo, RGB, as JPEG of high quality. OSError for sides that a JPEG cannot have."""
    buffer = io.BytesIO()
    # Pillow would copy the comment of the file that the image came from
    photo.save(buffer, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING_444, comment=b"")
    return buffer.getvalue()
