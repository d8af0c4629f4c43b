"""The segments of a JPEG and the tags of Exif data, counted before Pillow keeps them.

Pillow keeps every segment up to the first scan, takes some apart in Python, and goes through
filling byte by byte (ITU-T T.81). Exif data is a TIFF without a picture: a directory, in which
others may be named. Pillow takes 15 microseconds per tag.
"""

import re
import struct
from collections.abc import Iterator

from artifact.photos.formats import PhotoHeader, Room, damaged, sized, with_scans

MAX_TAGS = 1000  # in all directories; photos have about 120
MAX_VALUES = 300_000  # numbers in all tags; a palette of 16 bits has 196,608
# Bytes of each number, by its type. Python makes 36 bytes of it; text stays bytes.
NUMBER_BYTES = {3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
NAMED = {0x8769, 0x8825, 0xA005, 0x014A}  # Exif, GPS, interoperability, and a TIFF's own
PREFIX = b"Exif\0\0"


def check_exif(data: bytes) -> None:
    """Raise PhotoError for far more tags than photos have. Damaged data may pass: it is left out.

    data: with or without its prefix; or a whole TIFF.
    """
    while data.startswith(PREFIX):
        data = data[len(PREFIX) :]
    if data[:2] not in (b"II", b"MM"):
        return
    room = Room(MAX_TAGS, "it has far more Exif tags than photos have")
    numbers = Room(MAX_VALUES, "its tags have far more numbers than those of photos")
    order = "<" if data[:2] == b"II" else ">"
    is_big = b"+" in data[2:4]
    count_form, entry_form, word = ("Q", "HHQQ", "Q") if is_big else ("H", "HHII", "I")
    entry_bytes = struct.calcsize(order + entry_form)
    try:
        pending = list(struct.unpack_from(order + word, data, 8 if is_big else 4))
        while pending:
            start = pending.pop()
            (tags,) = struct.unpack_from(order + count_form, data, start)
            room.take(1 + tags)
            start += struct.calcsize(order + count_form)
            for _ in range(tags):
                tag, kind, count, value = struct.unpack_from(order + entry_form, data, start)
                # what cannot be in the data is left out by Pillow, too
                if count * NUMBER_BYTES.get(kind, len(data)) <= len(data):
                    numbers.take(count)
                if tag in NAMED:
                    pending.append(value)
                start += entry_bytes
    except (struct.error, OverflowError):
        return


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
