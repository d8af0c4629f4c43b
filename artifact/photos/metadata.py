"""Photos without what a camera or a program wrote about them: place, time, owner, comments.

Orientation and colour stay, for the pixels would look otherwise without them. Pixels are copied,
not encoded anew: the parts of a file are read by their lengths. Standard library only, because the
Lambda function holds it, too (web/).
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from artifact.photos.small_exif import HEAD, small_exif

JPEG_START = b"\xff\xd8"
PNG_START = b"\x89PNG\r\n\x1a\n"
SCAN, END = 0xDA, 0xD9
APP0, APP1, APP2, APP14, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
# Within a scan 0xFF00 is a byte of it, and 0xFFD0 to D7 divide it; 0xFFFF fills up.
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# What decides how a PNG looks (PNG, 3rd edition), and the parts of an animation. All else goes.
PNG_KEPT = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP"}
    | {b"sBIT", b"bKGD", b"hIST", b"sPLT", b"pHYs", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT"}
)
PNG_HEX_EXIF = b"Raw profile type exif"  # as ImageMagick writes it
PNG_XMP = b"XML:com.adobe.xmp"
MAX_TEXT_BYTES = 1 << 20  # of a compressed text
WEBP_EXIF, WEBP_XMP = 0x08, 0x04  # bits of the flags of VP8X
WEBP_KEPT = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP")
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
GIF_TEXT, GIF_COMMENT, GIF_APPLICATION = 0x01, 0xFE, 0xFF
GIF_LOOP = (b"NETSCAPE2.0", b"ANIMEXTS1.0")


def without_metadata(data: bytes) -> bytes | None:
    """The photo without metadata but for orientation and colour; None for other formats.

    JPEG, PNG, WebP, GIF and BMP. A file that is not whole stays as it is behind its last whole
    part: its pixels are the decoder's matter.
    """
    for start, strip in _STRIPS:
        if start.match(data):
            return strip(data)
    return None


def _jpeg(data: bytes) -> bytes:
    parts = [JPEG_START]
    exif = xmp = b""
    for marker, segment in _segments(data):
        if marker == APP1 and segment[4:].startswith(HEAD):
            exif = exif or segment[4:]
        elif marker == APP1 and segment[4:].startswith(XMP_HEAD):
            xmp = segment[4:]
        elif _is_kept(marker, segment[4:]):
            parts.append(segment)
    exif = small_exif(exif, xmp)
    if exif:
        exif = HEAD + exif
        # behind JFIF's own segment, which comes first
        at = 2 if len(parts) > 1 and parts[1][1] == APP0 else 1
        parts.insert(at, struct.pack(">BBH", 0xFF, APP1, len(exif) + 2) + exif)
    return b"".join(parts)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each part of a JPEG, up to its end; what follows is another file."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # decoders skip what lies between the parts
            at = data.find(b"\xff", at)
            at = at if at > 0 else len(data)
            continue
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == END:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == SCAN:
            found = _MARKER_IN_SCAN.search(data, end)
            end = found.start() if found else len(data)
        yield marker, data[at:end]
        at = end
    # a file that is torn within a head keeps those few bytes
    yield END, b"\xff\xd9" if data[at : at + 2] == b"\xff\xd9" else data[at:]


def _is_kept(marker: int, content: bytes) -> bool:
    if marker == APP0:
        return content.startswith(b"JFIF\0")
    if marker == APP2:
        return content.startswith(b"ICC_PROFILE\0")
    if marker == APP14:
        return content.startswith(b"Adobe")  # how its colours are stored
    return not APP0 <= marker <= APP15 and marker != COMMENT


def _png(data: bytes) -> bytes:
    parts = [PNG_START]
    exif = hexadecimal = xmp = b""
    at = len(PNG_START)
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        chunk = data[at : at + 12 + length]
        at += len(chunk)
        if kind == b"eXIf":
            exif = chunk[8:-4]
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            name, text = _png_text(kind, chunk[8:-4])
            hexadecimal = text if name == PNG_HEX_EXIF else hexadecimal
            xmp = text if name == PNG_XMP else xmp
        elif kind in PNG_KEPT or len(chunk) < 12:
            parts.append(chunk)
        if kind == b"IEND":
            break
    parts.insert(2, _png_exif(small_exif(exif or _from_hexadecimal(hexadecimal), xmp)))
    return b"".join(parts)


def _png_text(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """The name and the text of a chunk; a damaged text is none."""
    name, _, text = content.partition(b"\0")
    is_packed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    if kind == b"zTXt":
        text = text[1:]
    elif kind == b"iTXt":  # whether and how it is packed, its language, its name in that
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]
    if is_packed:
        try:
            text = zlib.decompressobj().decompress(text, MAX_TEXT_BYTES)
        except zlib.error:
            text = b""
    return name, text


def _from_hexadecimal(text: bytes) -> bytes:
    """EXIF from three lines of heading and its bytes in hexadecimal; b"" where it is damaged."""
    try:
        return bytes.fromhex("".join(text.decode("latin-1").split("\n")[3:]))
    except ValueError:
        return b""


def _png_exif(exif: bytes) -> bytes:
    if not exif:
        return b""
    body = b"eXIf" + exif
    return struct.pack(">L", len(exif)) + body + struct.pack(">L", zlib.crc32(body))


def _webp(data: bytes) -> bytes:
    parts: list[bytes] = []
    exif = xmp = b""
    at = 12
    while at < len(data):
        kind = data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        chunk = data[at : at + 8 + size + size % 2]
        at += len(chunk)
        if kind == b"EXIF":
            exif = chunk[8 : 8 + size]
        elif kind == b"XMP ":
            xmp = chunk[8 : 8 + size]
        elif kind in WEBP_KEPT or len(chunk) < 8:
            parts.append(chunk)
    chunk = _webp_exif(small_exif(exif, xmp))
    if parts and parts[0].startswith(b"VP8X") and len(parts[0]) > 8:
        flags = parts[0][8] & ~(WEBP_EXIF | WEBP_XMP)
        flags |= WEBP_EXIF if chunk else 0
        parts[0] = parts[0][:8] + bytes([flags]) + parts[0][9:]
        parts.append(chunk)
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<L", len(body) + 4) + b"WEBP" + body


def _webp_exif(exif: bytes) -> bytes:
    if not exif:
        return b""
    return b"EXIF" + struct.pack("<L", len(exif)) + exif + b"\0" * (len(exif) % 2)


def _gif(data: bytes) -> bytes:
    """Without comments, and applications' blocks but for those that say how often to loop."""
    at = 13 + _gif_colours(data[10:11])
    parts = [data[:at]]
    while at < len(data) and data[at] in (0x21, 0x2C):
        head = 2
        if data[at] == 0x2C:  # a picture: its place and size, its colours, the width of its codes
            head = 11 + _gif_colours(data[at + 9 : at + 10])
        end = _gif_blocks_end(data, at + head)
        label = data[at + 1] if data[at] == 0x21 and at + 1 < len(data) else 0
        loops = data[at + 3 : at + 14] in GIF_LOOP
        is_words = label in (GIF_TEXT, GIF_COMMENT)
        if not is_words and (label != GIF_APPLICATION or loops):
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at : at + 1]])


def _gif_colours(flags: bytes) -> int:
    """Bytes of the table of colours that the flags announce."""
    if not flags or not flags[0] & 0x80:
        return 0
    return int(3 << ((flags[0] & 7) + 1))


def _gif_blocks_end(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


_STRIPS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"BM"), bytes),  # it has a place for none
)
