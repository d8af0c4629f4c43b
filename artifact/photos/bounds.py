"""A photo's header, read in bounded time and memory before Pillow sees the file.

Pillow keeps every segment, block and chunk that it meets, and goes through filling byte by byte.
Files with far more of these than photos have are refused here. Raises PhotoError throughout.
"""

import struct
from collections.abc import Callable
from dataclasses import replace

from artifact.photos.colour_numbers import COLOUR_BYTES, PNG_CHUNKS, png_colour
from artifact.photos.formats import PhotoHeader, Room, damaged, sized
from artifact.photos.heif_bounds import heif_header
from artifact.photos.jpeg2000_bounds import jpeg2000_header
from artifact.photos.jpeg_bounds import check_exif, jpeg_header
from artifact.photos.kinds import PhotoError, kind_of
from artifact.photos.ppm_bounds import ppm_header
from artifact.photos.tiff_bounds import tiff_header

MAX_CHUNKS = 1000  # of a PNG, WebP or GIF, beside those that its bytes fill
EXIF_TEXT = b"Raw profile type exif\0"  # Exif data in hexadecimal, as ImageMagick writes it
MAX_EXIF_TEXT = 65_536
MAX_TEXTS = 32  # compressed ones in a PNG; each may be 1 MB
CHUNK_BYTES = 1024  # of a chunk with pixels, at least: encoders write 8 kB and more
BLOCK_BYTES = 128  # of a GIF's block of pixels, at least: encoders write 255
MAX_GIF_BLOCKS = 2000  # of comments and other extensions: Pillow joins them one by one
MAX_RLE_PIXELS = 1_000_000  # Pillow decodes these in Python
MAX_PALETTE_BYTES = 65_536  # of a header with its palette and profile
RLE_BYTES = 3  # per pixel, at most; what is more does not become pixels


def photo_header(data: bytes, max_pixels: int) -> PhotoHeader:
    """The header of a photo of a format in FORMATS, of at most max_pixels."""
    kind = kind_of(data).name
    try:
        header = READERS[kind](data)
    # OverflowError: an offset of 64 bits, as BigTIFF has them, is no place in any file.
    except (struct.error, IndexError, OverflowError) as error:
        raise damaged("it ends within its header") from error
    if header.width < 1 or header.height < 1:
        raise PhotoError(f"it has {header.width} x {header.height} pixels")
    check_pixels(header, max_pixels)
    return header


def check_pixels(header: PhotoHeader, max_pixels: int) -> None:
    """PhotoError for a photo whose decoding takes the memory of more pixels."""
    if header.pixels > max_pixels:
        size = f"it has {header.width} x {header.height} pixels"
        if header.decoded > header.width * header.height:
            size += f", and its parts {header.decoded:,}"
        if header.held and header.format == "JPEG":
            size += " in several scans; send a baseline JPEG, or a smaller one"
        raise PhotoError(f"{size}; at most {max_pixels:,} in all are accepted")


def _png(data: bytes) -> PhotoHeader:
    """Chunk by chunk; IHDR has the size."""
    most = MAX_CHUNKS + len(data) // CHUNK_BYTES
    chunks = Room(most, "it is a PNG of far more chunks than photos have")
    texts = Room(MAX_TEXTS, "it is a PNG with far more texts than photos have")
    others = Room(MAX_CHUNKS, "it is a PNG of far more chunks than photos have")
    sizes = []
    colour: dict[bytes, bytes] = {}
    passes = 1.0
    place = 8
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        chunks.take()
        if name != b"IDAT":
            others.take()
        if name == b"IHDR":
            sizes.append(struct.unpack_from(">II", data, place + 8))
            passes = 2.0 if data[place + 16] == 16 else 1.0  # bits of a sample
        if name in (b"zTXt", b"iTXt", b"iCCP"):
            texts.take()
        if name in PNG_CHUNKS:
            colour[name] = data[place + 8 : place + 8 + min(length, COLOUR_BYTES)]
        if name == b"eXIf":
            check_exif(data[place + 8 : place + 8 + length])
        if length > MAX_EXIF_TEXT and data.startswith(EXIF_TEXT, place + 8):
            raise PhotoError("it is a PNG with far more Exif data than photos have")
        if name == b"IEND":
            break
        place += 12 + length
    return replace(sized("PNG", data, sizes, passes), colour=png_colour(colour))


def _webp(data: bytes) -> PhotoHeader:
    """RIFF chunk by chunk: the canvas, and what lies on it."""
    most = MAX_CHUNKS + len(data) // CHUNK_BYTES
    chunks = Room(most, "it is a WebP of far more chunks than photos have")
    sizes = []
    place = 12
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        chunks.take()
        start = place + 8
        if name == b"VP8X":
            sizes.append((1 + _triple(data, start + 4), 1 + _triple(data, start + 7)))
        elif name == b"ANMF":
            sizes.append((1 + _triple(data, start + 6), 1 + _triple(data, start + 9)))
        elif name == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, start + 6)
            sizes.append((width & 0x3FFF, height & 0x3FFF))
        elif name == b"VP8L":
            (bits,) = struct.unpack_from("<I", data, start + 1)
            sizes.append((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
        elif name == b"EXIF":
            check_exif(data[start : start + length])
        place = start + length + length % 2
    return sized("WEBP", data, sizes)


def _triple(data: bytes, start: int) -> int:
    """A whole number of three bytes."""
    return data[start] | data[start + 1] << 8 | data[start + 2] << 16


def _gif(data: bytes) -> PhotoHeader:
    """Block by block to the end of the first picture, and to the next one, which Pillow seeks."""
    most = MAX_GIF_BLOCKS + len(data) // BLOCK_BYTES
    sentence = "it is a GIF of far more blocks than photos have"
    blocks = Room(most, sentence)
    extensions = Room(MAX_GIF_BLOCKS, sentence)
    screen = struct.unpack_from("<HH", data, 6)
    sizes = [(screen[0], screen[1])]
    place = 13 + _palette_bytes(data[10])
    pictures = 0
    while place < len(data) and pictures < 2:
        mark = data[place]
        if mark == 0x2C:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, place + 1)
            sizes.append((max(screen[0], left + width), max(screen[1], top + height)))
            pictures += 1
            place = _after_blocks(data, place + 11 + _palette_bytes(flags), blocks)
        elif mark == 0x21:
            place = _after_blocks(data, place + 2, extensions)
        elif mark == 0x3B:
            break
        else:
            blocks.take()  # Pillow skips what it does not know
            place += 1
    return sized("GIF", data, sizes)


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int, room: Room) -> int:
    """Where a row of blocks ends; each has its length in its first byte, and the last one none."""
    room.take()
    while place < len(data) and data[place]:
        place += 1 + data[place]
        room.take()
    return place + 1


def _bmp(data: bytes) -> PhotoHeader:
    """Of OS/2 and Windows."""
    (length,) = struct.unpack_from("<I", data, 14)
    if length == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return PhotoHeader("BMP", width, height, len(data))
    width, height, _, _, compression = struct.unpack_from("<IiHHI", data, 18)
    height = abs(height)
    pixels = width * height
    is_rle = compression in (1, 2)
    if is_rle and pixels > MAX_RLE_PIXELS:
        raise PhotoError(
            f"it is a run-length encoded BMP of {width} x {height} pixels; "
            f"at most {MAX_RLE_PIXELS:,} in all are accepted of these"
        )
    if is_rle and len(data) > RLE_BYTES * pixels + MAX_PALETTE_BYTES:
        raise PhotoError("it is a run-length encoded BMP with far more bytes than pixels")
    return PhotoHeader("BMP", width, height, len(data), passes=100.0 if is_rle else 1.0)


READERS: dict[str, Callable[[bytes], PhotoHeader]] = {
    "JPEG": jpeg_header,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
    "BMP": _bmp,
    "TIFF": tiff_header,
    "HEIF": heif_header,
    "AVIF": heif_header,
    "JPEG2000": jpeg2000_header,
    "PPM": ppm_header,
}
