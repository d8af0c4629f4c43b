"""The one preprocessing: photo bytes to the pixels of a network, on Pillow and numpy.

Preparation, training and serving all decode and size photos here, so the endpoint does what
training measured. It knows nothing of networks; normalisation by mean and std happens inside the
exported graph.
"""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from artifact.boxes import still
from artifact.colour import PREMULTIPLIED, first_picture, note_profile, on_white, samples_digest
from artifact.photo_bounds import photo_header
from artifact.photo_files import read_patiently
from artifact.photo_formats import damaged, register_heif, silence_decoders
from artifact.photo_kinds import PhotoError
from artifact.shrinking import JPEGS, Reduced, shrink_on_load, shrunk, start_after_turning
from artifact.tiff_bounds import grey_with_alpha, unread_tiff

__all__ = ["MAX_PIXELS", "PhotoError", "Preprocessing", "decode", "open_photo", "read_photo"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_PIXELS = 128_000_000  # larger than any phone's photo (108 Mpx); three bytes a pixel is 384 MB
DECODER = 2  # version of what `decode` does, in model.json; 1 is artifact/first_decoder.py
ORIENTATION_TAG = 0x0112  # of EXIF
UPRIGHT = 1
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
END_OF_JPEG = b"\xff\xd9"
FILLING = b"\x55" * 64  # samples that are none
# As the hyperparameters' bounds; published weights take up to 600. Larger ones cost gigabytes.
MAX_RESIZE = 4096
MAX_CROP = 2048
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


Pixels = NDArray[np.uint8]

silence_decoders()


@dataclass(frozen=True)
class Preprocessing:
    """From a photo to pixels. Raises ValueError for sizes or values that do not work.

    resize: pixels of the shorter side after shrinking. crop: pixels of a side of the square that is
    cut from the centre. interpolation: the filter of the resizing. mean and std: per channel, of
    samples from 0 to 1. squeeze: both sides become `resize` pixels, so that an oblong photo loses
    its proportions.
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    squeeze: bool = False

    def __post_init__(self) -> None:
        # lists, as JSON has them, become tuples
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "std", tuple(self.std))
        if not _is_side(self.resize, MAX_RESIZE) or not _is_side(self.crop, MAX_CROP):
            raise ValueError(
                f"resize and crop must be whole numbers up to {MAX_RESIZE} and {MAX_CROP}; "
                f"found {self.resize!r} and {self.crop!r}"
            )
        if not 1 <= self.crop <= self.resize:
            raise ValueError(
                f"crop must lie between 1 and resize ({self.resize}), found {self.crop}"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {', '.join(INTERPOLATIONS)}, "
                f"found '{self.interpolation}'"
            )
        finite = all(math.isfinite(value) for value in (*self.mean, *self.std))
        if not isinstance(self.squeeze, bool):
            raise ValueError(f"squeeze must be true or false, found {self.squeeze!r}")
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise ValueError(
                "mean and std must be three numbers each, std above 0; "
                f"found {self.mean} and {self.std}"
            )

    def pixels(self, photo: Image.Image | Reduced) -> Pixels:
        """The network's view of an RGB photo: uint8 [crop, crop, 3]."""
        whole = photo if isinstance(photo, Reduced) else Reduced(photo, photo.size)
        width, height = whole.size
        resized_width, resized_height = self._resized(width, height)
        left = round((resized_width - self.crop) / 2)
        top = round((resized_height - self.crop) / 2)
        # resize only the part that the crop keeps: fewer pixels to filter, and no huge panorama
        x_scale = width / resized_width
        y_scale = height / resized_height
        box = whole.box(
            left * x_scale,
            top * y_scale,
            (left + self.crop) * x_scale,
            (top + self.crop) * y_scale,
        )
        resample = INTERPOLATIONS[self.interpolation]
        return np.asarray(whole.image.resize((self.crop, self.crop), resample, box=box))

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before the cut."""
        if self.squeeze:
            return self.resize, self.resize
        scale = self.resize / min(width, height)
        return max(self.resize, int(width * scale)), max(self.resize, int(height * scale))

    def network_pixels(self, path: Path) -> Pixels:
        """The network's view of a file, uint8 [crop, crop, 3]. PhotoError names the file."""
        return self.pixels(read_reduced(path, self.resize))

    def stretched(self, photo: Image.Image | Reduced) -> Pixels:
        """The whole RGB photo squeezed to a square, uint8 [resize, resize, 3], for augmentation."""
        whole = photo if isinstance(photo, Reduced) else Reduced(photo, photo.size)
        box = whole.box(0, 0, *whole.size)
        resample = INTERPOLATIONS[self.interpolation]
        return np.asarray(whole.image.resize((self.resize, self.resize), resample, box=box))


def _is_side(value: object, most: int) -> bool:
    # JSON's true is an int, too
    return isinstance(value, int) and not isinstance(value, bool) and value <= most


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
