"""The segments of a JPEG up to its first scan, counted before Pillow keeps them (ITU-T T.81).

Pillow keeps every segment, takes some apart in Python, and goes through filling byte by byte.
"""

import re
import struct
from collections.abc import Iterator

from artifact.exif_bounds import PREFIX, check_exif
from artifact.photo_formats import damaged
from artifact.photo_header import PhotoHeader, Room, sized, with_scans

MAX_SEGMENTS = 1000  # depth maps come in some hundreds of them
MAX_EXIF_SEGMENTS = 64  # Pillow joins them one by one
MAX_COSTLY_SEGMENTS = 32
MAX_FRAMES = 4  # headers with a size; photos have one
MAX_FILLING = 65_536  # bytes between segments, which Pillow reads one at a time

SCAN, APP1, APP2, APP13, TABLES = 0xDA, 0xE1, 0xE2, 0xED, 0xDB
COSTLY = (APP13, TABLES)  # Pillow takes these apart in Python
FRAMES = frozenset({*range(0xC0, 0xD0), 0xDE} - {0xC4, 0xC8, 0xCC})  # markers with a size
BARE = frozenset({0x00, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)})  # markers without a length
FILL = re.compile(rb"\xff+")
SENTENCE = "it is a JPEG of far more segments than photos have"


def jpeg_header(data: bytes) -> PhotoHeader:
    """The header of a JPEG. PhotoError for far more of anything than photos have."""
    rooms = {code: Room(MAX_COSTLY_SEGMENTS, SENTENCE) for code in COSTLY}
    frames = Room(MAX_FRAMES, SENTENCE)
    exif_segments = Room(MAX_EXIF_SEGMENTS, SENTENCE)
    sizes: list[tuple[int, int]] = []
    exif = b""
    for marker, content in _segments(data):
        if marker in rooms:
            rooms[marker].take()
        if marker in FRAMES:
            frames.take()
            height, width = struct.unpack_from(">HH", content, 1)
            sizes.append((width, height))
        if marker == APP1 and content.startswith(PREFIX):
            exif_segments.take()
            exif += content[len(PREFIX) :]
        if marker == APP2 and content.startswith(b"MPF\0"):
            check_exif(content[4:])
    check_exif(exif)
    # in coded samples no FF is followed by DA
    return with_scans(sized("JPEG", data, sizes), data.count(b"\xff\xda"))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment before the first scan, as Pillow finds them."""
    segments = Room(MAX_SEGMENTS, SENTENCE)
    filling = Room(MAX_FILLING, "it is a JPEG with far more filling than photos have")
    place = 2
    while True:
        start = data.find(b"\xff", place)
        if start < 0:
            raise damaged("a JPEG that ends before its pixels")
        after = FILL.match(data, start).end()  # type: ignore[union-attr]  # a byte is there
        filling.take(start - place + after - start - 1)
        marker = data[after]
        segments.take()
        place = after + 1
        if marker == SCAN:
            return
        if marker in BARE:
            continue
        (length,) = struct.unpack_from(">H", data, place)
        yield marker, data[place + 2 : place + length]
        place += max(2, length)
