"""The sizes, tiles and code blocks of a JPEG 2000, read before OpenJPEG sees it (ISO/IEC 15444-1).

OpenJPEG takes memory for each tile, precinct and code block that the markers name, and goes through
each layer of each. A tile's own header may name others than the main header.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from artifact.photos.boxes import MANY_BOXES, MAX_BOXES, boxes
from artifact.photos.formats import PhotoHeader, Room, damaged
from artifact.photos.kinds import PhotoError

MAX_TILES = 4096
MAX_PARTS = 10_000  # of tiles
MAX_MARKERS = 20_000
MAX_COMPONENTS = 4
MAX_LAYERS = 256
MAX_PACKETS = 2_000_000  # parts of layers: OpenJPEG keeps a number for each that there can be
BLOCK_PIXELS = 24  # memory of a code block, in that of so many pixels
MAX_COLOURS = 1024  # of a palette; Pillow reads it in Python
RESTRICTED = 2  # the method of a colr box that holds an ICC profile
CODESTREAM = b"\xff\x4f\xff\x51"
SIZ, COD, COC, SOT, SOD, END = 0x51, 0x52, 0x53, 0x90, 0x93, 0xD9


@dataclass
class _Coding:
    """The worst that any COD or COC names. Sides of blocks and precincts are in bits."""

    layers: int = 1
    levels: int = 0
    block_width: int = 10
    block_height: int = 10
    precinct: int = 15

    def add(self, levels: int, sides: tuple[int, int], precincts: bytes) -> None:
        """Another one: its levels, the bits of its blocks' sides, its precincts' bits."""
        self.levels = max(self.levels, levels)
        self.block_width = min(self.block_width, (sides[0] & 15) + 2)
        self.block_height = min(self.block_height, (sides[1] & 15) + 2)
        for byte in precincts:
            self.precinct = min(self.precinct, byte & 15, byte >> 4)


@dataclass(frozen=True)
class _Size:
    """Of SIZ: the photo, its tiles, and its components."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    tiles: int
    components: int
    deep: bool


@dataclass(frozen=True)
class _Outer:
    """Of the boxes around a codestream: a size, where it begins, an ICC profile."""

    size: tuple[int, int] = (0, 0)
    start: int = 0
    profile: bytes = b""


def jpeg2000_header(data: bytes) -> PhotoHeader:
    """The header of a JPEG 2000. PhotoError for one that claims what photos do not."""
    outer = _Outer()
    if not data.startswith(CODESTREAM):
        outer = _in_boxes(data)
    start = outer.start
    size, coding = _codestream(data, start)
    blocks = _code_blocks(size, coding)
    # samples of four bytes: more components than three, or deeper ones, take more memory
    pixels = size.width * size.height
    weight = 1.5 if size.components > 3 or size.deep else 1.0
    decoded = int(pixels * weight) + blocks * BLOCK_PIXELS
    largest = max((size.width, size.height), outer.size, key=lambda side: side[0] * side[1])
    return PhotoHeader("JPEG2000", *largest, len(data), decoded=decoded, profile=outer.profile)


def _in_boxes(data: bytes) -> _Outer:
    """What the boxes around a codestream say."""
    room = Room(MAX_BOXES, MANY_BOXES)
    sizes: list[tuple[int, int]] = []
    profile = b""
    for kind, start, end in boxes(data, 0, len(data), room):
        if kind == b"jp2c":
            if not sizes:
                raise damaged("a JPEG 2000 without a size")
            return _Outer(max(sizes, key=lambda size: size[0] * size[1]), start, profile)
        if kind != b"jp2h":
            continue
        for inner, at, stop in boxes(data, start, end, room):
            if inner == b"colr" and data[at] == RESTRICTED:
                profile = profile or data[at + 3 : stop]
            if inner == b"ihdr":
                height, width = struct.unpack_from(">II", data, at)
                sizes.append((width, height))
            if inner == b"pclr" and struct.unpack_from(">H", data, at)[0] > MAX_COLOURS:
                raise PhotoError("it is a JPEG 2000 with far more colours than a palette has")
    raise damaged("a JPEG 2000 without a picture")


def _codestream(data: bytes, start: int) -> tuple[_Size, _Coding]:
    """Its size, and the worst coding of all its headers."""
    if not data.startswith(CODESTREAM, start):
        raise damaged("a JPEG 2000 without a picture")
    size: _Size | None = None
    coding = _Coding()
    for marker, content in _markers(data, start + 2):
        if marker == SIZ:
            if size is not None:
                raise PhotoError("it is a JPEG 2000 of two sizes")
            size = _siz(content)
        elif marker == COD:
            layers, levels, *sides = struct.unpack_from(">xxHxBBB", content)
            coding.layers = max(coding.layers, layers)
            coding.add(levels, (sides[0], sides[1]), content[10:] if content[0] & 1 else b"")
        elif marker == COC:
            wide = 1  # fewer than 257 components: their number has one byte
            levels, *sides = struct.unpack_from(">BBB", content, wide + 1)
            precincts = content[wide + 6 :] if content[wide] & 1 else b""
            coding.add(levels, (sides[0], sides[1]), precincts)
    if size is None:
        raise damaged("a JPEG 2000 without a size")
    return size, coding


def _markers(data: bytes, place: int) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment, of the main header and of each tile's."""
    markers = Room(MAX_MARKERS, "it is a JPEG 2000 of far more segments than photos have")
    parts = Room(MAX_PARTS, "it is a JPEG 2000 of far more tiles than photos have")
    after_part = 0
    while place + 2 <= len(data):
        markers.take()
        prefix, marker = data[place], data[place + 1]
        if marker == END or prefix != 0xFF:
            return
        if marker == SOD:
            if not after_part:
                return
            place = after_part
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        content = data[place + 4 : place + 2 + length]
        if marker == SOT:
            parts.take()
            (part_bytes,) = struct.unpack_from(">I", content, 2)
            if 0 < part_bytes < 14:
                raise damaged("a tile of a JPEG 2000 has no length")
            # 0: to the end
            after_part = place + part_bytes if part_bytes else 0
        yield marker, content
        place += 2 + max(2, length)


def _siz(content: bytes) -> _Size:
    """The size in a SIZ segment. PhotoError for more tiles or components than photos have."""
    fields = struct.unpack_from(">xxIIIIIIIIH", content)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = fields
    if not 1 <= components <= MAX_COMPONENTS:
        raise PhotoError(
            f"it is a JPEG 2000 of {components} components; at most {MAX_COMPONENTS} are accepted"
        )
    width, height = right - left, bottom - top
    if min(width, height, tile_width, tile_height) < 1:
        raise damaged("a JPEG 2000 without a size")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if not 1 <= tiles <= MAX_TILES:
        raise PhotoError(f"it is a JPEG 2000 of {tiles} tiles; at most {MAX_TILES:,} are accepted")
    deep = any(content[36 + 3 * index] & 0x7F > 7 for index in range(components))
    return _Size(
        width, height, min(tile_width, right), min(tile_height, bottom), tiles, components, deep
    )


def _code_blocks(size: _Size, coding: _Coding) -> int:
    """The most code blocks of a tile. PhotoError for far more packets than photos have."""
    if coding.layers > MAX_LAYERS:
        raise PhotoError(f"it is a JPEG 2000 of {coding.layers} layers, far more than photos have")
    width = min(size.tile_width, size.width)
    height = min(size.tile_height, size.height)
    bits_x = min(coding.block_width, coding.precinct)
    bits_y = min(coding.block_height, coding.precinct)
    blocks = 0
    precincts = 0
    for level in range(min(coding.levels, 32) + 1):
        across = (width >> level) + 1
        down = (height >> level) + 1
        # three bands of half the sides, with one more block at each edge
        blocks += 3 * ((across >> bits_x + 1) + 2) * ((down >> bits_y + 1) + 2)
        precincts = max(
            precincts, ((across >> coding.precinct) + 1) * ((down >> coding.precinct) + 1)
        )
    packets = coding.layers * (coding.levels + 1) * size.components * precincts
    if packets * size.tiles > MAX_PACKETS:
        raise PhotoError("it is a JPEG 2000 of far more packets than photos have")
    # a decoder holds one tile at a time
    return blocks * size.components
