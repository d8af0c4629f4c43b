"""What is known of a photo before it is decoded: its size, and the work that decoding it takes."""

from dataclasses import dataclass, replace

from artifact.photo_formats import PhotoError, damaged

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
