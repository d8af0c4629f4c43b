"""Boxes: the parts of ISO base media files (ISO/IEC 14496-12) and of JPEG 2000 (15444-1)."""

import struct
from collections.abc import Iterator

from artifact.photos.formats import Room, damaged

MAX_BOXES = 5000
MANY_BOXES = "it has far more boxes than photos have"
FILM = b"moov"
FREE = b"free"
FILM_BRAND = b"avis"


def boxes(data: bytes, start: int, end: int, room: Room) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box in a part of the file."""
    while start + 8 <= end:
        room.take()
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        if size == 0:  # to the end
            size = end - start
        if size < content - start:
            raise damaged("one of its boxes has no size")
        yield kind, content, min(start + size, end)
        start += size


def still(data: bytes) -> bytes:
    """A HEIC or AVIF file without its film, so that a decoder sees the photo alone.

    An animation's first picture is its photo. The tables of the film can claim any number of
    pictures.
    """
    found = boxes(data, 0, len(data), Room(MAX_BOXES, MANY_BOXES))
    for start in [start for kind, start, _ in found if kind == FILM]:
        name = data.rindex(FILM, 0, start)
        data = data[:name] + FREE + data[name + 4 :]
    # a decoder of AVIF looks for the film where this brand stands
    end = int.from_bytes(data[:4], "big")
    brands = data[8:end]
    if FILM_BRAND not in brands:
        return data
    return data[:8] + brands.replace(FILM_BRAND, b"avif") + data[end:]
