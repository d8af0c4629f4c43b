"""Small pictures of photos for a page, within a budget of bytes and of time."""

import base64
import io
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from artifact.preprocessing import read_reduced


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
