"""The formats that are opened, how such files begin, and what their headers say of decoding them.

Pillow knows 40 formats. Some of them start other programs (PostScript) or are written in Python
and take minutes (FITS, GRIB): a photo is opened as what its first bytes say, and only if it is one
of these. Everything that decodes a photo does so.
"""

import ctypes
import importlib.util
import logging
import re
import warnings
from dataclasses import dataclass, replace

# Pillow's names. A JPEG with several pictures opens as MPO.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
KNOWN = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
_BEGINNINGS = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("WEBP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("BMP", re.compile(rb"BM")),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]")),
)
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class PhotoError(ValueError):
    """A photo that cannot be decoded; its text is one sentence for a user."""


def damaged(reason: str) -> PhotoError:
    """The error of a photo that is not whole."""
    return PhotoError(f"it is not a complete photo that Pillow can read ({reason})")


def format_of(data: bytes) -> str:
    """The name in FORMATS of a photo, by its first bytes. Raises PhotoError for other files."""
    if not data:
        raise PhotoError("it is empty (0 bytes)")
    if data.startswith(LFS_POINTER):
        raise PhotoError(
            "it is a Git LFS pointer, not the photo that it stands for; `git lfs pull` fetches that"
        )
    for name, beginning in _BEGINNINGS:
        if beginning.match(data):
            return name
    raise PhotoError(f"it is not a complete photo of {KNOWN} (unknown format); save it as JPEG")


def silence_decoders() -> None:
    """Keep what decoders say of damaged photos out of the log: it would be lines without a form.

    What matters of it is in the PhotoError. libtiff writes to stderr by itself, and it carries the
    words of the libjpeg within it.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # Its functions are found by way of Pillow's own library, which was linked with it.
    found = importlib.util.find_spec("PIL._imaging")
    if found is None or not found.origin:
        return
    library = ctypes.CDLL(found.origin)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        set_handler = getattr(library, name, None)
        if set_handler:  # a Pillow without libtiff has none
            set_handler.restype = ctypes.c_void_p
            set_handler(None)


# Nanoseconds of one core (2.5 GHz, x86-64) per pixel and per encoded byte, rounded up. Whoever
# plans with them learns how fast its own machine is.
PHOTO_S = 0.0005  # per photo, however small
PIXEL_NS = {"JPEG": 8, "PNG": 20, "WEBP": 25, "GIF": 12, "BMP": 8, "TIFF": 20}
BYTE_NS = {"JPEG": 20, "PNG": 15, "WEBP": 40, "GIF": 20, "BMP": 1, "TIFF": 15}


# A progressive JPEG has about 10 scans, each over all pixels.
MAX_SCANS = 30
MAX_SCANNED_PIXELS = 2_500_000_000
SCAN_PASSES = 0.25  # of the time of the first scan, for each further one


@dataclass(frozen=True)
class PhotoHeader:
    """A photo's header, as far as it decides what decoding costs.

    format: in FORMATS. width, height: of the photo. decoded: pixels that the decoder holds at once,
    which are more than the photo's where a TIFF's tile is larger. passes: how often the decoder
    goes over all pixels. bytes: of the file.
    """

    format: str
    width: int
    height: int
    bytes: int
    decoded: int = 0
    passes: float = 1.0

    @property
    def pixels(self) -> int:
        """The photo's size in all accounts of memory."""
        return max(self.width * self.height, self.decoded)

    @property
    def seconds(self) -> float:
        """About how long one core decodes."""
        pixel_ns = PIXEL_NS[self.format] * self.passes
        return PHOTO_S + (self.pixels * pixel_ns + self.bytes * BYTE_NS[self.format]) / 1e9


class Room:
    """Counts what a reader meets, up to a bound. Raises PhotoError beyond it."""

    def __init__(self, most: int, sentence: str):
        self._most = most
        self._sentence = sentence
        self.used = 0

    def take(self, amount: int = 1) -> None:
        """So many more of them."""
        self.used += amount
        if self.used > self._most:
            raise PhotoError(self._sentence)


def sized(kind: str, data: bytes, sizes: list[tuple[int, int]], passes: float = 1.0) -> PhotoHeader:
    """The header of a photo that names these sizes; the largest counts. PhotoError without one."""
    if not sizes:
        raise damaged("its header names no size")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return PhotoHeader(kind, width, height, len(data), passes=passes)


def with_scans(header: PhotoHeader, scans: int) -> PhotoHeader:
    """The header of a photo whose JPEG goes over its pixels so often. PhotoError for too often."""
    if scans > MAX_SCANS and scans * header.pixels > MAX_SCANNED_PIXELS:
        raise PhotoError(f"it is a JPEG of {scans} scans, far more than photos have")
    return replace(header, passes=1 + SCAN_PASSES * max(0, scans - 1))
