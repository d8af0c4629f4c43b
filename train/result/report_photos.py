"""Small pictures of photos for a page, within a budget of bytes and of time."""

import base64
import io
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifact.preprocessing import read_reduced

OVERLAY_SIDE = 40  # pixels, which the browser smooths

Map = NDArray[np.float32]  # [H, W]


@dataclass(frozen=True)
class Picture:
    """A data URI, and the whole photo's pixels; without one, the reason why."""

    uri: str = ""
    width: int = 0
    height: int = 0
    gap: str = ""


def thumbnail(path: Path, side: int, quality: int = 78) -> Picture:
    """The photo as a JPEG of at most side x side pixels, or the reason why there is none."""
    try:
        photo = read_reduced(path, side)
        small = photo.image
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        small.info.clear()  # where and by whom a photo was taken does not go into the page
        data = io.BytesIO()
        small.save(data, "JPEG", quality=quality, optimize=True)
    except Exception as error:  # any: one picture must never cost the page
        return Picture(gap=str(error) or type(error).__name__)
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    return Picture(f"data:image/jpeg;base64,{encoded}", *photo.size)


@dataclass(frozen=True)
class Seen:
    """What of a photo speaks for an answer.

    places: 0 to 1, over the square that the network sees. share: of the photo's shorter side.
    """

    places: Map
    share: float


def overlay(seen: Seen | None, picture: Picture) -> dict[str, object] | None:
    """A PNG to lay over the photo, and its place in percent of the photo; None without one."""
    if seen is None or not picture.uri:
        return None
    levels = Image.fromarray((255 * seen.places).astype(np.uint8))
    smooth = np.asarray(levels.resize((OVERLAY_SIDE, OVERLAY_SIDE), Image.Resampling.BICUBIC))
    pixels = np.empty((OVERLAY_SIDE, OVERLAY_SIDE, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[..., 1] = 220 - (smooth * 0.75).astype(np.uint8)  # from yellow to red
    pixels[..., 2] = 20
    pixels[..., 3] = (smooth * 0.7).astype(np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", optimize=True)
    shorter = min(picture.width, picture.height)
    width = 100 * seen.share * shorter / picture.width
    height = 100 * seen.share * shorter / picture.height
    return {
        "uri": f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode('ascii')}",
        "left": round((100 - width) / 2, 2),
        "top": round((100 - height) / 2, 2),
        "width": round(width, 2),
        "height": round(height, 2),
    }


class Album:
    """Thumbnails of one size, as long as there are bytes and seconds left."""

    def __init__(self, side: int, quality: int, most_bytes: int, most_s: float):
        self.side = side
        self.quality = quality
        self.left = most_bytes
        self._end = time.monotonic() + most_s
        self._known: dict[Path, Picture] = {}

    def picture(self, path: Path) -> Picture | None:
        """None where nothing is left; a photo that was asked for before costs nothing."""
        if path in self._known:
            return self._known[path]
        if self.left <= 0 or time.monotonic() > self._end:
            return None
        picture = thumbnail(path, self.side, self.quality)
        self.left -= len(picture.uri)
        self._known[path] = picture
        return picture
