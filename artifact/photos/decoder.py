"""The one decoder: a photo's bytes to RGB pixels, upright and in sRGB, on Pillow.

Preparation, training, serving and the page all open photos here.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from artifact.photos.bounds import photo_header
from artifact.photos.boxes import still
from artifact.photos.colour import (
    PREMULTIPLIED,
    first_picture,
    note_profile,
    on_white,
    samples_digest,
)
from artifact.photos.files import read_patiently
from artifact.photos.formats import damaged, register_heif, silence_decoders
from artifact.photos.kinds import PhotoError
from artifact.photos.shrinking import JPEGS, Reduced, shrink_on_load, shrunk, start_after_turning
from artifact.photos.tiff_bounds import grey_with_alpha, unread_tiff

MAX_PIXELS = 128_000_000  # larger than any phone's photo (108 Mpx); three bytes a pixel is 384 MB
DECODER = 2  # version of what `decode` does, in model.json; 1 is artifact/photos/first_decoder.py
ORIENTATION_TAG = 0x0112  # of EXIF
UPRIGHT = 1
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
END_OF_JPEG = b"\xff\xd9"
FILLING = b"\x55" * 64  # samples that are none


silence_decoders()


def read_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo in a file as `decode` gives it; PhotoError names the file."""
    return read_reduced(path, 0, max_pixels).image


def read_reduced(path: Path, smallest: int, max_pixels: int = MAX_PIXELS) -> Reduced:
    """The photo in a file as `decode_reduced` gives it; PhotoError names the file."""
    try:
        return decode_reduced(read_patiently(Path(path)), smallest, max_pixels)
    except OSError as error:
        raise PhotoError(f"photo '{path}' cannot be read: {error.strerror or error}") from error
    except PhotoError as error:
        raise PhotoError(f"photo '{path}': {error}") from error


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A photo of a format in FORMATS, first picture, upright, in sRGB, alpha on white, as RGB.

    Raises PhotoError for an empty, unknown, truncated or oversized photo.
    """
    return decode_reduced(data, 0, max_pixels).image


def decode_reduced(data: bytes, smallest: int, max_pixels: int = MAX_PIXELS) -> Reduced:
    """The photo as `decode` gives it, or smaller. Raises PhotoError.

    smallest: pixels of the shorter side that the caller shrinks it to; 0 for the whole photo. A
    JPEG is decoded at 1/2, 1/4 or 1/8 then, and others shrink before their colours are converted.
    """
    image = open_photo(data, max_pixels)
    try:
        with as_photo_errors():
            size = image.size
            factor = shrink_on_load(image, smallest)
            place = first_picture(image)
            image = _loaded(image, data, smallest)
            if factor == 1:
                size = image.size  # a HEIC has its size once it is decoded
            turned = upright(image)
            how = UPRIGHT
            if turned is not image:
                how = orientation(image)
                image.close()
            start = start_after_turning(how, size, factor)
            if how in SIDEWAYS:
                size = (size[1], size[0])
            if factor == 1:
                turned, factor = shrunk(turned, smallest)
            return Reduced(on_white(turned, place), size, factor, start)
    except BaseException:
        image.close()  # else the samples live as long as the error's traceback does
        raise


def _loaded(image: Image.Image, data: bytes, smallest: int) -> Image.Image:
    """The image with its samples; a JPEG that lacks nothing but its end marker, too."""
    try:
        image.load()
        return image
    except OSError:
        if image.format not in JPEGS or data.rstrip(b"\0").endswith(END_OF_JPEG):
            raise
        image.close()  # its samples, before others are taken
        if not _lacks_its_end_alone(data, smallest):
            raise
    image = _with_end(data, b"")
    shrink_on_load(image, smallest)
    image.load()
    return image


def _lacks_its_end_alone(data: bytes, smallest: int) -> bool:
    """Whether a JPEG has all of its samples: else it changes with what stands in their place."""
    seen = set()
    for filling in (b"", FILLING):
        probe = _with_end(data, filling)
        # what a progressive one's last scans add is not seen at a smaller size
        if "progressive" not in probe.info:
            shrink_on_load(probe, smallest)
        seen.add(samples_digest(probe))
    return len(seen) == 1


def _with_end(data: bytes, filling: bytes) -> Image.Image:
    """The JPEG with an end marker; its samples are not read yet."""
    ended = data.removesuffix(b"\xff") + filling + END_OF_JPEG
    return Image.open(io.BytesIO(ended), formats=("JPEG",))


def open_photo(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo with its header read, and its samples not. Raises PhotoError.

    Every file that Pillow opens comes this way: its format, and what it claims, are checked first.
    """
    header = photo_header(data, max_pixels)
    if header.format in ("HEIF", "AVIF"):
        data = still(data)
    is_premultiplied = False
    if header.format == "TIFF":
        data, is_premultiplied = grey_with_alpha(data)
    with as_photo_errors():
        if header.format == "HEIF":
            register_heif()
        try:
            image: Image.Image = Image.open(io.BytesIO(data), formats=(header.format,))
        except UnidentifiedImageError:
            if header.format == "TIFF":
                raise unread_tiff(data) from None
            raise
        # pillow-heif leaves EXIF's orientation out: by the standard, boxes alone turn a HEIC
        if image.info.get("original_orientation") and not header.is_turned:
            image.getexif()[ORIENTATION_TAG] = image.info["original_orientation"]
    image.info[PREMULTIPLIED] = is_premultiplied
    note_profile(image, header.profile, header.colour)
    # Pillow has read the same bytes: what it found otherwise is not what was checked
    if image.width * image.height > header.pixels:
        image.close()
        raise PhotoError(
            f"it has {image.width} x {image.height} pixels in one place, "
            f"and {header.width} x {header.height} in another"
        )
    return image


@contextmanager
def as_photo_errors() -> Iterator[None]:
    """Every error of Pillow becomes a PhotoError."""
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise damaged(_first_line(error)) from error


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where its data is damaged in any way."""
    try:
        return int(image.getexif().get(ORIENTATION_TAG, UPRIGHT))
    except Exception:
        return UPRIGHT


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; damaged EXIF data leaves it as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are good: a broken tag must not cost the photo
        return image


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    # Pillow quotes the address of a file in memory, which says nothing to a user
    if not lines or "<_io.BytesIO" in lines[0]:
        return "unknown format"
    return lines[0][:120]
