"""Small files that once took gigabytes or minutes to decode, made in code."""

import struct
import zlib

JPEG_HEAD = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def tiff(
    entries: dict[int, tuple[int, list[int]]],
    order: str = "<",
    big: bool = False,
    content: bytes = b"",
) -> bytes:
    """A TIFF with one directory. entries: by tag, the type (3: SHORT, 4: LONG, 16) and values.

    content: put first after the header, at byte 16.
    """
    codes = {1: "B", 3: "H", 4: "I", 16: "Q"}
    word = "Q" if big else "I"
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    body = bytearray(content)
    rows = []
    for tag, (kind, values) in entries.items():
        data = struct.pack(f"{order}{len(values)}{codes[kind]}", *values)
        if len(data) > struct.calcsize(word):
            place = struct.pack(order + word, 16 + len(body))
            body += data
            data = place
        data = data.ljust(struct.calcsize(word), b"\0")
        rows.append(struct.pack(f"{order}HH{word}", tag, kind, len(values)) + data)
    start = 16 + len(body)
    if big:
        head += struct.pack(order + "HHQ", 8, 0, start)
    else:
        head += struct.pack(order + "I", start) + bytes(8)
    count = struct.pack(order + ("Q" if big else "H"), len(rows))
    return head + bytes(body) + count + b"".join(rows) + bytes(8)


def grey(width: int = 8, height: int = 8) -> dict[int, tuple[int, list[int]]]:
    """The entries of an honest grey TIFF of one strip at byte 16."""
    return {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [8]),
        259: (3, [1]),
        262: (3, [1]),
        273: (4, [16]),
        277: (3, [1]),
        278: (4, [height]),
        279: (4, [width * height]),
    }


def tiled(side: int = 46336, order: str = "<", big: bool = False) -> bytes:
    """8 x 8 pixels in one LZW tile that is far larger."""
    entries = grey()
    for tag in (273, 278, 279):
        del entries[tag]
    entries[259] = (3, [5])
    entries |= {322: (4, [side]), 323: (4, [side]), 324: (4, [16]), 325: (4, [64])}
    return tiff(entries, order, big, b"\x80\x0b\x60\x50" + bytes(60))


def strips(rows: int, order: str = "<") -> bytes:
    """A row in each strip; all strips are the same eight bytes."""
    entries = grey(8, rows)
    entries |= {273: (4, [16] * rows), 278: (4, [1]), 279: (3, [8] * rows)}
    return tiff(entries, order, content=bytes(range(8)))


def jpeg_segments(marker: int, count: int) -> bytes:
    """A JPEG whose segments are empty, and so many."""
    return JPEG_HEAD + bytes([0xFF, marker, 0, 2]) * count


def jpeg_filling(count: int, filling: bytes = b"\xff") -> bytes:
    """A JPEG with filling before its next marker."""
    return JPEG_HEAD + filling * count + b"\xfe\0\2"


def gif_comments(count: int) -> bytes:
    """A GIF with comments before its picture."""
    return b"GIF89a\1\0\1\0\0\0\0" + b"\x21\xfe\1a\0" * count


def gif_blocks(count: int) -> bytes:
    """A GIF whose pixels come byte by byte."""
    return b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2" + b"\1\0" * 1 + b"\1a" * count


def png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png_chunks(name: bytes, count: int, content: bytes = b"") -> bytes:
    """A PNG with so many chunks before its pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(72))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(name, content) * count + pixels


def webp_chunks(count: int) -> bytes:
    """A WebP with so many chunks before its picture."""
    chunks = b"VP8X\x0a\0\0\0" + bytes(10) + b"JUNK\0\0\0\0" * count
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


FITS = (
    "SIMPLE  =                    T".ljust(80)
    + "BITPIX  =                    8".ljust(80)
    + "NAXIS   =                    2".ljust(80)
    + "NAXIS1  =                 8000".ljust(80)
    + "NAXIS2  =                 8000".ljust(80)
    + "END".ljust(2480)
).encode()
# How files begin that are opened by other programs, or in Python for minutes.
NEVER_OPENED = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "EPS in DOS": b"\xc5\xd0\xd3\xc6" + bytes(60),
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + bytes(60),
    "EMF": b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60),
    "FITS": FITS,
    "GRIB": b"GRIB\0\0\0\1" + bytes(60),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "BUFR": b"BUFR\0\0\0\4" + bytes(60),
}
HEAVY = {
    "tile": tiled(),
    "tile, big-endian": tiled(order=">"),
    "tile, BigTIFF": tiled(big=True),
    "tile, BigTIFF, big-endian": tiled(order=">", big=True),
    "strips": strips(700_000),
    "strips, big-endian": strips(200_000, ">"),
    "segments": jpeg_segments(0xEF, 1_400_000),
    "comments in a JPEG": jpeg_segments(0xFE, 1_400_000),
    "filling": jpeg_filling(5_900_000),
    "junk": jpeg_filling(5_900_000, b"\0"),
    "comments in a GIF": gif_comments(1_100_000),
    "blocks in a GIF": gif_blocks(2_900_000),
    "chunks in a PNG": png_chunks(b"prVt", 480_000),
    "texts in a PNG": png_chunks(b"zTXt", 2_000, b"k\0\0" + zlib.compress(bytes(900_000))),
    "pixels in a PNG, in nothings": png_chunks(b"IDAT", 480_000),
    "chunks in a WebP": webp_chunks(700_000),
}


def exif(tags: int, numbers: int = 1) -> bytes:
    """Exif data of so many tags of so many numbers each, which turn the photo by a quarter."""
    rows = [struct.pack("<HHII", 274, 3, 1, 6)]
    for tag in range(1000, 1000 + tags):
        rows.append(struct.pack("<HHII", tag, 3, numbers, 8 if numbers > 2 else 0))
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(rows))
    return (head + b"".join(rows) + bytes(4)).ljust(2 * numbers, b"\0")


def png_exif(data: bytes) -> bytes:
    return png_chunks(b"eXIf", 1, data)


def jpeg_exif(data: bytes) -> bytes:
    """The same in a JPEG, in as many segments as it needs."""
    segments = b""
    for start in range(0, len(data), 65_000):
        content = b"Exif\0\0" + data[start : start + 65_000]
        segments += b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return JPEG_HEAD + segments + b"\xff\xc0\0\x0b\x08\0\x08\0\x08\1\1\x11\0\xff\xda\0\2"


def jpeg_large_segments(marker: int, content: bytes, count: int) -> bytes:
    """A JPEG of segments as long as they may be."""
    size = struct.pack(">H", len(content) + 2)
    return JPEG_HEAD + (bytes([0xFF, marker]) + size + content) * count


HEAVY |= {
    "Exif tags in a PNG": png_exif(exif(60_000)),
    "Exif tags in a JPEG": jpeg_exif(exif(60_000)),
    "Exif numbers": png_exif(exif(1, 2_900_000)),
    "frames": jpeg_large_segments(0xC0, b"\x08\0\x08\0\x08\3" + bytes(60_000), 90),
    "tables": jpeg_large_segments(0xDB, (bytes(65)) * 1000, 90),
    "8BIM": jpeg_large_segments(0xED, b"Photoshop 3.0\0" + b"8BIM\0\1\0\0\0\0\0\0" * 5400, 90),
    "palette of a TIFF": tiff(grey() | {320: (3, [7] * 2_900_000)}),
}
