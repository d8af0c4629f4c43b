"""Small pictures for the report, as data URIs: of photos, of broken files, of a class's mean."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from artifact.photos.bounds import photo_header
from artifact.photos.decoder import MAX_PIXELS, open_photo, upright
from artifact.photos.files import read_regular
from artifact.photos.kinds import PhotoError
from artifact.photos.shrinking import decoded_for
from prepare.convert import Photo
from prepare.scan import Source
from prepare.signature import SIDE, signature_fields

THUMBNAIL_SIDE = 96  # pixels of the height
THUMBNAIL_QUALITY = 72
# A broken file is decoded as far as it goes, by the report's own process: one that costs little.
TORN_PIXELS = 16_000_000  # that the decoder holds
TORN_BYTES = 64 << 20
TORN_S = 2.0


def thumbnail(path: Path) -> str:
    """A data URI of a photo, at most twice as wide as high. OSError or PhotoError without one."""
    return _thumbnail(read_regular(path))


def _thumbnail(data: bytes) -> str:
    with open_photo(data) as photo:
        photo.draft("RGB", (THUMBNAIL_SIDE * 2, THUMBNAIL_SIDE * 2))  # decodes less of a large JPEG
        turned = upright(photo)
        turned.thumbnail((THUMBNAIL_SIDE * 2, THUMBNAIL_SIDE))
        return _data_uri(turned)


def torn_thumbnail(path: Path) -> str:
    """What can be seen of a broken file; "" where there is nothing, or where it costs much."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        data = read_regular(path, TORN_BYTES)
        header = decoded_for(photo_header(data, MAX_PIXELS), THUMBNAIL_SIDE)
        if header.pixels > TORN_PIXELS or header.seconds > TORN_S:
            return ""
        return _thumbnail(data)
    except (OSError, PhotoError):
        return ""
    except Exception:  # Pillow's decoders raise nearly anything on damaged files
        return ""
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def mean_photos(photos: Mapping[Source, Photo]) -> dict[str, str]:
    """Class to a data URI of its mean photo, SIDE pixels wide and high."""
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for source, photo in photos.items():
        if not photo.signature:
            continue
        samples = np.frombuffer(photo.signature, np.uint8)
        if source.label not in sums:
            sums[source.label] = np.zeros(len(samples), np.int64)
            counts[source.label] = 0
        sums[source.label] += samples
        counts[source.label] += 1
    means = {name: (total / counts[name]).round().astype(np.uint8) for name, total in sums.items()}
    return {name: _picture(mean.tobytes()) for name, mean in means.items()}


def _picture(data: bytes) -> str:
    """A data URI of a signature's picture."""
    grey, chroma = signature_fields(data)
    parts = [Image.fromarray(grey)]
    parts += [Image.fromarray(colour).resize((SIDE, SIDE)) for colour in chroma]
    return _data_uri(Image.merge("YCbCr", parts))


def _data_uri(photo: Image.Image) -> str:
    buffer = io.BytesIO()
    photo.convert("RGB").save(buffer, "JPEG", quality=THUMBNAIL_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
