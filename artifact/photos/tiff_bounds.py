"""The first directory of a TIFF, read before Pillow and libtiff see the file (TIFF 6.0, BigTIFF).

Both take memory by what the directory claims: for a tile of any size, and for every strip. They
never get a directory that claims more than the file can hold.
"""

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from artifact.photos.foreign_files import RAW
from artifact.photos.formats import PhotoHeader, damaged, with_scans
from artifact.photos.jpeg_bounds import check_exif
from artifact.photos.kinds import PhotoError

MAX_TAGS = 256  # photos have about 20, and scientific ones 60
MAX_PARTS = 50_000  # strips or tiles: a photo of 50,000 rows may have one row in each
MAX_SAMPLES = 6  # per pixel; Pillow's own bound
# Of the values' bytes, and of the strips' bytes, over the file's: these may share a few bytes.
SHARED = 2
# What photos use: none, CCITT, LZW, JPEG, Deflate, PackBits. The decoders of others take memory as
# their data says (LZMA up to 4 GB, Zstandard 128 MB).
COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
UNCOMPRESSED, JPEG = 1, 7
TYPE_BYTES = {
    **{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8},
    **{13: 4, 16: 8, 17: 8, 18: 8},
}
INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
WIDTH, HEIGHT, COMPRESSION = 256, 257, 259
STRIP_OFFSETS, SAMPLES, ROWS, STRIP_BYTES, PLANES = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
DEPTHS = (32997, 32998)  # of image and tile: libtiff multiplies its buffers by them
EXTRA_SAMPLES, PREMULTIPLIED, ALPHA = 338, 1, 2
KIND, COLOURS, MAKER, BITS, SMALLER, FORMAT = 254, 262, 271, 258, 330, 339
REDUCED = 1  # of KIND: a preview
MOSAICS = (32803, 34892)  # of COLOURS: what a sensor saw
DNG_VERSION = 50706
COLOUR_WORDS = {0: "greyscale", 1: "greyscale", 2: "RGB", 3: "a palette", 5: "CMYK", 6: "YCbCr"}
COLOUR_WORDS |= dict.fromkeys((8, 9, 10), "CIELAB")
FORMAT_WORDS = {2: "signed ", 3: "float "}
SPLIT = 2  # PlanarConfiguration: the samples of a pixel lie in different strips


@dataclass(frozen=True)
class _Entry:
    """A tag's value: its type, how many, and where its bytes begin in the file."""

    type: int
    count: int
    start: int


class _Directory:
    """The entries of one directory, by tag. Raises PhotoError beyond the bounds."""

    def __init__(self, data: bytes):
        self._data = data
        self._order = "<" if data[:1] == b"I" else ">"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self._word = "Q" if self._big else "I"
        self.entries: dict[int, _Entry] = {}
        start = self._unpack(self._word, 8 if self._big else 4)
        self.next = self._read(start)

    def _unpack(self, form: str, start: int) -> int:
        try:
            (value,) = struct.unpack_from(self._order + form, self._data, start)
        except struct.error as error:
            raise damaged("its TIFF directory lies beyond its end") from error
        number: int = value
        return number

    def _read(self, start: int) -> int:
        """Fill the entries; where the next directory begins, 0 for none."""
        tags = self._unpack("Q" if self._big else "H", start)
        if tags > MAX_TAGS:
            raise PhotoError(f"it is a TIFF with {tags} tags; at most {MAX_TAGS} are accepted")
        word = struct.calcsize(self._word)
        place = start + (8 if self._big else 2)
        held = 0
        for _ in range(tags):
            tag = self._unpack("H", place)
            entry = self._entry(place, word)
            held += entry.count * TYPE_BYTES.get(entry.type, 0)
            if tag in self.entries:
                raise PhotoError(f"it is a TIFF that has its tag {tag} twice")
            self.entries[tag] = entry
            place += 4 + 2 * word
        if held > SHARED * len(self._data):
            raise damaged("its TIFF tags claim more bytes than the file has")
        # a file may end after its only directory
        return self._unpack(self._word, place) if place + word <= len(self._data) else 0

    def _entry(self, place: int, word: int) -> _Entry:
        kind = self._unpack("H", place + 2)
        count = self._unpack(self._word, place + 4)
        value = place + 4 + word
        if count * TYPE_BYTES.get(kind, 0) > word:
            value = self._unpack(self._word, value)
        return _Entry(kind, count, value)

    def numbers(self, tag: int) -> Sequence[int]:
        """A tag's whole numbers; none where it is missing. PhotoError for values of other types."""
        entry = self.entries.get(tag)
        if entry is None:
            return ()
        code = INTEGERS.get(entry.type)
        end = entry.start + entry.count * TYPE_BYTES.get(entry.type, 0)
        if code is None or end > len(self._data):
            raise damaged(f"its TIFF tag {tag} cannot be read")
        values = array(code, self._data[entry.start : end])
        if (self._order == "<") != (sys.byteorder == "little"):
            values.byteswap()
        return values

    def number(self, tag: int, default: int) -> int:
        """A tag's one number."""
        values = self.numbers(tag)
        return values[0] if values else default


def tiff_header(data: bytes) -> PhotoHeader:
    """The header of a TIFF's first photo. PhotoError for one that claims what photos do not."""
    directory = _Directory(data)
    if _is_raw(directory, data):
        raise PhotoError(RAW)
    check_exif(data)
    width = directory.number(WIDTH, 0)
    height = directory.number(HEIGHT, 0)
    samples = directory.number(SAMPLES, 1)
    if samples > MAX_SAMPLES or any(directory.number(tag, 1) != 1 for tag in DEPTHS):
        raise PhotoError(
            f"it is a TIFF of {samples} samples per pixel or of several layers; "
            f"at most {MAX_SAMPLES} and one are accepted"
        )
    compression = directory.number(COMPRESSION, UNCOMPRESSED)
    if compression not in COMPRESSIONS:
        raise PhotoError(
            f"it is a TIFF of compression {compression}; "
            "save it with LZW, Deflate, JPEG, PackBits or none"
        )
    planes = samples if directory.number(PLANES, 1) == SPLIT else 1
    rows = min(directory.number(ROWS, height), height)
    tile_width, tile_height = _tile(directory)
    strips = _parts(height, rows) * planes
    tiles = _parts(width, tile_width) * _parts(height, tile_height) * planes
    _check_count(max(strips, tiles))
    _check_bytes(directory, len(data), compression)
    header = PhotoHeader("TIFF", width, height, len(data), decoded=tile_width * tile_height)
    if compression != JPEG:
        return header
    # each part is a JPEG of its own, of one scan as a rule
    return with_scans(header, data.count(b"\xff\xda") // (tiles or strips or 1))


def _is_raw(directory: _Directory, data: bytes) -> bool:
    """Whether it is a camera's raw file (DNG, NEF, CR2 ...), whose first picture is a preview."""
    if DNG_VERSION in directory.entries or data[8:10] == b"CR":
        return True
    if directory.number(COLOURS, 0) in MOSAICS:
        return True
    is_preview = directory.number(KIND, 0) & REDUCED
    return bool(is_preview and SMALLER in directory.entries and MAKER in directory.entries)


def unread_tiff(data: bytes) -> PhotoError:
    """What a TIFF is that passed its bounds, and that Pillow does not know."""
    directory = _Directory(data)
    bits = "/".join(str(number) for number in dict.fromkeys(directory.numbers(BITS) or [1]))
    kind = FORMAT_WORDS.get(directory.number(FORMAT, 1), "")
    colours = COLOUR_WORDS.get(directory.number(COLOURS, 1), "a rare kind of colour")
    return PhotoError(
        f"it is a TIFF in {colours}, of {directory.number(SAMPLES, 1)} {kind}samples of {bits} "
        "bits, which are not read here; save it as RGB of 8 or 16 bits"
    )


def grey_with_alpha(data: bytes) -> tuple[bytes, bool]:
    """A TIFF whose second sample is called alpha as Pillow knows it; whether it is premultiplied.

    Pillow refuses greyscale with an alpha that is premultiplied, or that has no name.
    """
    directory = _Directory(data)
    entry = directory.entries.get(EXTRA_SAMPLES)
    if entry is None or entry.count != 1 or directory.number(SAMPLES, 1) != 2:
        return data, False
    kind = directory.number(EXTRA_SAMPLES, ALPHA)
    number = ALPHA.to_bytes(2, "little" if data[:1] == b"I" else "big")
    return data[: entry.start] + number + data[entry.start + 2 :], kind == PREMULTIPLIED


def _tile(directory: _Directory) -> tuple[int, int]:
    """Width and height of a tile; zeros without tiles. PhotoError for one side alone."""
    sides = [tag for tag in (TILE_WIDTH, TILE_HEIGHT) if tag in directory.entries]
    width = directory.number(TILE_WIDTH, 0)
    height = directory.number(TILE_HEIGHT, 0)
    # libtiff takes the photo's own width or height for a side that is missing
    if sides and (width < 1 or height < 1):
        raise damaged("its TIFF tiles have one side only")
    return width, height


def _parts(whole: int, part: int) -> int:
    """How many parts make up a whole; none of an unknown size."""
    return -(-whole // part) if part else 0


def _check_count(parts: int) -> None:
    if parts > MAX_PARTS:
        raise PhotoError(
            f"it is a TIFF of {parts} strips or tiles; at most {MAX_PARTS:,} are accepted"
        )


def _check_bytes(directory: _Directory, length: int, compression: int) -> None:
    """PhotoError for more strips or tiles, or larger ones, than the file can hold."""
    for offsets, sizes in ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES)):
        entry = directory.entries.get(offsets)
        if entry is None:
            continue
        _check_count(entry.count)
        coded = directory.numbers(sizes)
        # without their sizes libtiff takes each part to reach to the file's end
        if compression != UNCOMPRESSED and 1 < entry.count > len(coded):
            raise damaged("its TIFF strips have no sizes")
        if compression != UNCOMPRESSED and sum(coded) > SHARED * length:
            raise damaged("its TIFF strips claim more bytes than the file has")
