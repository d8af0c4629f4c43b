"""The formats that are opened, how such files begin, and what their headers say of decoding them.

Pillow knows 40 formats. Some of them start other programs (PostScript) or are written in Python
and take minutes (FITS, GRIB): a photo is opened as what its first bytes say, and only if it is one
of these. Everything that decodes a photo does so.
"""

import ctypes
import functools
import importlib.util
import logging
import warnings
from dataclasses import dataclass, replace

from artifact.photos.colour_numbers import ColourNumbers
from artifact.photos.kinds import KINDS, PhotoError

NO_HEIF = (
    "it is a HEIC photo, and pillow-heif, which reads these, is not installed here; "
    "install it, build the image without HEIC=0, or save the photo as JPEG"
)
FORMATS = tuple(kind.name for kind in KINDS)  # Pillow's names


def damaged(reason: str) -> PhotoError:
    """The error of a photo that is not whole."""
    return PhotoError(f"it is not a complete photo that Pillow can read ({reason})")


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


@functools.cache
def register_heif() -> None:
    """Let Pillow open HEIC. PhotoError where pillow-heif is not installed.

    Only once a photo needs it: its library takes a tenth of a second to load. Thumbnails, depth and
    other pictures of the file stay unread.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise PhotoError(NO_HEIF) from error
    # whoever decodes many photos has threads of its own
    pillow_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
    )


# Nanoseconds of one core (2.5 GHz, x86-64) per pixel and per encoded byte, rounded up. Whoever
# plans with them learns how fast its own machine is.
PHOTO_S = 0.0005  # per photo, however small
PIXEL_NS = {
    **{"JPEG": 8, "PNG": 20, "WEBP": 25, "GIF": 12, "BMP": 8, "TIFF": 20},
    **{"HEIF": 20, "AVIF": 15, "JPEG2000": 40, "PPM": 8},
}
BYTE_NS = {
    **{"JPEG": 20, "PNG": 15, "WEBP": 40, "GIF": 20, "BMP": 1, "TIFF": 15},
    **{"HEIF": 60, "AVIF": 60, "JPEG2000": 100, "PPM": 1},
}

# A progressive JPEG has about 10 scans, each over all pixels.
MAX_SCANS = 30
MAX_SCANNED_PIXELS = 2_500_000_000
SHRUNK_TIME = 0.5  # of the time of the whole photo
SCAN_PASSES = 0.25  # of the time of the first scan, for each further one


Profile = bytes  # within PhotoHeader that name is a number


@dataclass(frozen=True)
class PhotoHeader:
    """A photo's header, as far as it decides what decoding costs.

    format: in FORMATS. width, height: of the photo. decoded: pixels that the decoder holds at once,
    which are more than the photo's where a tile is larger. passes: how often the decoder goes over
    all pixels. bytes: of the file. is_turned: boxes of a HEIC turn it, and its EXIF does not.
    profile: of a JPEG 2000, an ICC profile that Pillow leaves out. colour: what numbers
    say in its place. held: pixels in memory where decoding takes less than usual; 0 for the whole.
    """

    format: str
    width: int
    height: int
    bytes: int
    decoded: int = 0
    passes: float = 1.0
    is_turned: bool = False
    profile: Profile = b""
    colour: ColourNumbers | None = None
    held: int = 0

    @property
    def pixels(self) -> int:
        """The photo's size in all accounts of memory."""
        return self.held or self.whole

    @property
    def whole(self) -> int:
        """Pixels that are gone through."""
        return max(self.width * self.height, self.decoded)

    @property
    def seconds(self) -> float:
        """About how long one core decodes."""
        pixel_ns = PIXEL_NS[self.format] * self.passes
        if self.held and self.format == "JPEG":
            pixel_ns *= SHRUNK_TIME
        return PHOTO_S + (self.whole * pixel_ns + self.bytes * BYTE_NS[self.format]) / 1e9


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
