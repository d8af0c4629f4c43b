"""The one preprocessing: photo bytes to the pixels of a network, on Pillow and numpy.

Preparation, training and serving all decode and size photos here, so the endpoint does what
training measured. It knows nothing of networks; normalisation by mean and std happens inside the
exported graph.
"""

import io
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from artifact.boxes import still
from artifact.photo_bounds import photo_header
from artifact.photo_files import read_regular
from artifact.photo_formats import damaged, register_heif, silence_decoders
from artifact.photo_kinds import PhotoError

__all__ = ["MAX_PIXELS", "PhotoError", "Preprocessing", "decode", "open_photo", "read_photo"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_PIXELS = 128_000_000  # larger than any phone's photo (108 Mpx); three bytes a pixel is 384 MB
ORIENTATION_TAG = 0x0112  # of EXIF
STRIP_PIXELS = 1_000_000
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
    samples from 0 to 1.
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

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
        if len(self.mean) != 3 or len(self.std) != 3 or not finite or min(self.std) <= 0:
            raise ValueError(
                "mean and std must be three numbers each, std above 0; "
                f"found {self.mean} and {self.std}"
            )

    def pixels(self, photo: Image.Image) -> Pixels:
        """The network's view of an RGB photo: uint8 [crop, crop, 3]."""
        width, height = photo.size
        scale = self.resize / min(width, height)
        resized_width = max(self.resize, int(width * scale))
        resized_height = max(self.resize, int(height * scale))
        left = round((resized_width - self.crop) / 2)
        top = round((resized_height - self.crop) / 2)
        # resize only the part that the crop keeps: fewer pixels to filter, and no huge panorama
        x_scale = width / resized_width
        y_scale = height / resized_height
        box = (
            left * x_scale,
            top * y_scale,
            (left + self.crop) * x_scale,
            (top + self.crop) * y_scale,
        )
        resample = INTERPOLATIONS[self.interpolation]
        return np.asarray(photo.resize((self.crop, self.crop), resample, box=box))

    def stretched(self, photo: Image.Image) -> Pixels:
        """The whole RGB photo squeezed to a square, uint8 [resize, resize, 3], for augmentation."""
        resample = INTERPOLATIONS[self.interpolation]
        return np.asarray(photo.resize((self.resize, self.resize), resample))


def _is_side(value: object, most: int) -> bool:
    # JSON's true is an int, too
    return isinstance(value, int) and not isinstance(value, bool) and value <= most


def read_photo(path: Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo in a file as `decode` gives it; PhotoError names the file."""
    try:
        return decode(read_regular(Path(path)), max_pixels)
    except OSError as error:
        raise PhotoError(f"photo '{path}' cannot be read: {error.strerror or error}") from error
    except PhotoError as error:
        raise PhotoError(f"photo '{path}': {error}") from error


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """A photo of a format in FORMATS, first frame, upright by its EXIF, alpha over white, as RGB.

    Raises PhotoError for an empty, unknown, truncated or oversized photo.
    """
    image = open_photo(data, max_pixels)
    try:
        with _as_photo_errors():
            image.load()
            turned = upright(image)
            if turned is not image:
                image.close()
            return to_rgb(turned)
    except BaseException:
        image.close()  # else the samples live as long as the error's traceback does
        raise


def open_photo(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The photo with its header read, and its samples not. Raises PhotoError.

    Every file that Pillow opens comes this way: its format, and what it claims, are checked first.
    """
    header = photo_header(data, max_pixels)
    if header.format in ("HEIF", "AVIF"):
        data = still(data)
    with _as_photo_errors():
        if header.format == "HEIF":
            register_heif()
        image: Image.Image = Image.open(io.BytesIO(data), formats=(header.format,))
        # pillow-heif leaves EXIF's orientation out: by the standard, boxes alone turn a HEIC
        if image.info.get("original_orientation") and not header.is_turned:
            image.getexif()[ORIENTATION_TAG] = image.info["original_orientation"]
    # Pillow has read the same bytes: what it found otherwise is not what was checked
    if image.width * image.height > header.pixels:
        image.close()
        raise PhotoError(
            f"it has {image.width} x {image.height} pixels in one place, "
            f"and {header.width} x {header.height} in another"
        )
    return image


@contextmanager
def _as_photo_errors() -> Iterator[None]:
    """Every error of Pillow becomes a PhotoError."""
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on damaged files
        raise damaged(_first_line(error)) from error


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says; damaged EXIF data leaves it as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are good: a broken tag must not cost the photo
        return image


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


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    # Pillow quotes the address of a file in memory, which says nothing to a user
    if not lines or "<_io.BytesIO" in lines[0]:
        return "unknown format"
    return lines[0][:120]
