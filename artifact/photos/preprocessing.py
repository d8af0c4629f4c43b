"""The one preprocessing: a decoded photo to the pixels of a network.

Training and serving both size photos here, so the endpoint does what training measured. It knows
nothing of networks; normalisation by mean and std happens inside the exported graph.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifact.photos.decoder import read_reduced
from artifact.photos.shrinking import Reduced

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
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
