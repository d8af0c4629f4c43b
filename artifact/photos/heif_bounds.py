"""The pictures of a HEIC or AVIF file, read before a decoder sees it (ISO/IEC 14496-12, 23008-12).

Such a file is a tree of boxes. Its photo is an item, or a grid of items that are tiles. The
decoders take memory for each item, and for the size that each tile names.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from artifact.photos.boxes import MANY_BOXES, MAX_BOXES, boxes
from artifact.photos.coded_bounds import (
    MANY_UNITS,
    MAX_UNITS,
    Size,
    av1_sizes,
    hevc_config_sizes,
    hevc_sizes,
)
from artifact.photos.colour_numbers import nclx_colour
from artifact.photos.formats import PhotoHeader, Room, damaged
from artifact.photos.jpeg_bounds import check_exif
from artifact.photos.kinds import PhotoError

MAX_TILES = 1024  # of a photo; one of 108 megapixels has 432
MAX_PARTS = 32  # pieces of an item
SHARED = 2  # the items' bytes over the file's: items may share some
CODED = {b"hvc1": "HEIF", b"av01": "AVIF"}
CONFIG = {b"hvc1": b"hvcC", b"av01": b"av1C"}
ALPHA = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha",
    b"urn:mpeg:hevc:2015:auxid:1",
)


@dataclass
class _Item:
    """A picture, a tile, or data. parts: (start, length) in the file, or in idat."""

    kind: bytes = b""
    parts: list[tuple[int, int]] = field(default_factory=list)
    in_idat: bool = False
    properties: list[int] = field(default_factory=list)
    tiles: list[int] = field(default_factory=list)


def heif_header(data: bytes) -> PhotoHeader:
    """The header of a HEIC or AVIF photo. PhotoError for one that claims what photos do not."""
    return _File(data).header()


class _File:
    """The items of a file. Raises PhotoError beyond the bounds."""

    def __init__(self, data: bytes):
        self._data = data
        self._room = Room(MAX_BOXES, MANY_BOXES)
        self._counted: dict[int, int] = {}  # pixels of an item: a tile may be there many times
        self._units = Room(MAX_UNITS, MANY_UNITS)
        self._items: dict[int, _Item] = {}
        self._properties: list[tuple[bytes, int, int]] = []
        self._auxiliary: list[tuple[int, int]] = []
        self._idat = (0, 0)
        self._primary = 0
        readers = {
            b"pitm": self._read_primary,
            b"iinf": self._read_infos,
            b"iloc": self._read_places,
            b"iref": self._read_references,
            b"iprp": self._read_properties,
        }
        found = [box for box in self._boxes(0, len(data)) if box[0] == b"meta"]
        if len(found) != 1:
            raise PhotoError("it holds no photo in its first part; a video is not read")
        for kind, start, end in self._boxes(found[0][1] + 4, found[0][2]):
            if kind == b"idat":
                self._idat = (start, end)
            if kind in readers:
                readers[kind](start, end)

    def header(self) -> PhotoHeader:
        """What the photo claims."""
        self._check_bytes()
        item = self._item(self._primary)
        width, height = self._shown(item)
        decoded = self._decoded(self._primary)
        shown = {self._primary, *item.tiles}
        for source, target in self._auxiliary:
            if target in shown and self._is_alpha(source):
                decoded += self._decoded(source)
        kind = CODED[self._coding(item)]
        for other in self._items.values():
            if other.kind == b"Exif":
                content = self._content(other)
                # it says where its TIFF begins, and is read from there, or from its own beginning
                for start in (4, 4 + self._leading(content)):
                    check_exif(content[start:])
        turns = [*self._property(item, b"irot"), *self._property(item, b"imir")]
        colour = self._property(item, b"colr")
        if item.tiles and not colour:
            colour = self._property(self._item(item.tiles[0]), b"colr")
        return PhotoHeader(
            *(kind, width, height, len(self._data)),
            decoded=decoded,
            is_turned=bool(turns),
            colour=nclx_colour(colour),
        )

    @staticmethod
    def _leading(content: bytes) -> int:
        """Bytes before the TIFF of an Exif item (ISO/IEC 23008-12, A.2.1)."""
        return int.from_bytes(content[:4], "big")

    def _coding(self, item: _Item) -> bytes:
        """The item's kind, or its tiles'."""
        return self._item(item.tiles[0]).kind if item.kind == b"grid" else item.kind

    def _item(self, number: int) -> _Item:
        if number not in self._items:
            raise damaged(f"its picture {number} is not there")
        return self._items[number]

    def _boxes(self, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        return boxes(self._data, start, end, self._room)

    def _number(self, place: int, size: int) -> int:
        if place + size > len(self._data):
            raise damaged("it ends within its header")
        return int.from_bytes(self._data[place : place + size], "big")

    def _read_primary(self, start: int, _: int) -> None:
        self._primary = self._number(start + 4, 4 if self._data[start] else 2)

    def _read_infos(self, start: int, end: int) -> None:
        first = start + (8 if self._data[start] else 6)
        for kind, at, _ in self._boxes(first, end):
            if kind == b"infe" and self._data[at] >= 2:
                wide = 4 if self._data[at] > 2 else 2
                number = self._number(at + 4, wide)
                self._known(number).kind = self._data[at + 6 + wide : at + 10 + wide]

    def _known(self, number: int) -> _Item:
        return self._items.setdefault(number, _Item())

    def _read_places(self, start: int, end: int) -> None:
        version = self._data[start]
        sizes = self._number(start + 4, 2)
        offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
        wide = 4 if version > 1 else 2
        count = self._number(start + 6, wide)
        place = start + 6 + wide
        for _ in range(count):
            self._room.take()
            item = self._known(self._number(place, wide))
            place += wide
            if version:
                method = self._number(place, 2) & 15
                if method > 1:
                    raise PhotoError("it holds a picture that is put together from others")
                item.in_idat = method == 1
                place += 2
            begin = self._number(place + 2, base)
            parts = self._number(place + 2 + base, 2)
            place += 4 + base
            if parts > MAX_PARTS:
                raise PhotoError("it holds a picture in far more pieces than photos have")
            for _ in range(parts):
                place += index if version else 0
                at = begin + self._number(place, offset)
                item.parts.append((at, self._number(place + offset, length)))
                place += offset + length

    def _read_references(self, start: int, end: int) -> None:
        wide = 4 if self._data[start] else 2
        for kind, at, _ in self._boxes(start + 4, end):
            source = self._number(at, wide)
            count = self._number(at + wide, 2)
            if kind not in (b"dimg", b"auxl"):
                continue
            if count > MAX_TILES:
                raise PhotoError(f"it has {count} tiles; at most {MAX_TILES:,} are accepted")
            first = at + wide + 2
            targets = [self._number(first + wide * index, wide) for index in range(count)]
            if kind == b"dimg":
                self._known(source).tiles = targets
            else:
                self._auxiliary += [(source, target) for target in targets]

    def _read_properties(self, start: int, end: int) -> None:
        for kind, at, stop in self._boxes(start, end):
            if kind == b"ipco":
                self._properties += self._boxes(at, stop)
            elif kind == b"ipma":
                self._read_associations(at)

    def _read_associations(self, start: int) -> None:
        wide = 4 if self._data[start] else 2
        long_index = self._data[start + 3] & 1
        size = 2 if long_index else 1
        place = start + 8
        for _ in range(self._number(start + 4, 4)):
            self._room.take()
            item = self._known(self._number(place, wide))
            count = self._number(place + wide, 1)
            place += wide + 1
            for _ in range(count):
                index = self._number(place, size) & (0x7FFF if long_index else 0x7F)
                item.properties.append(index)
                place += size

    def _property(self, item: _Item, name: bytes) -> list[bytes]:
        """The contents of an item's properties of a name."""
        found = []
        for index in item.properties:
            if 0 < index <= len(self._properties):
                kind, start, end = self._properties[index - 1]
                if kind == name:
                    found.append(self._data[start:end])
        return found

    def _content(self, item: _Item) -> bytes:
        first, last = self._idat if item.in_idat else (0, len(self._data))
        pieces = []
        for start, length in item.parts:
            begin = first + start
            # a length of 0 means all
            pieces.append(self._data[begin : min(begin + length, last) if length else last])
        return b"".join(pieces)

    def _check_bytes(self) -> None:
        length = len(self._data)
        parts = chain.from_iterable(item.parts for item in self._items.values())
        held = sum(min(part[1] or length, length) for part in parts)
        if held > SHARED * length:
            raise damaged("its pictures claim more bytes than the file has")

    def _shown(self, item: _Item) -> Size:
        """Width and height that the file says a picture has."""
        found = self._property(item, b"ispe")
        if not found or len(found[0]) < 12:
            raise damaged("its picture has no size")
        width, height = struct.unpack_from(">II", found[0], 4)
        return width, height

    def _is_alpha(self, number: int) -> bool:
        """Whether a picture is another's alpha: others, such as of depth, are not decoded."""
        kinds = self._property(self._item(number), b"auxC")
        return any(kind[4:].rstrip(b"\0") in ALPHA for kind in kinds)

    def _decoded(self, number: int) -> int:
        """Pixels that the decoder takes for a picture and its tiles."""
        if number not in self._counted:
            self._counted[number] = self._pixels(self._item(number))
        return self._counted[number]

    def _pixels(self, item: _Item) -> int:
        shown = self._shown(item)
        if item.kind == b"grid":
            return self._of_grid(item, shown)
        if item.kind not in CODED:
            name = item.kind.decode("latin-1").strip()
            raise PhotoError(f"it is a HEIF photo of the kind '{name[:4]}'; save it as JPEG")
        sizes = [shown, *self._coded_sizes(item)]
        return max(width * height for width, height in sizes)

    def _coded_sizes(self, item: _Item) -> list[Size]:
        configs = self._property(item, CONFIG[item.kind])
        if not configs:
            raise damaged("its picture has no configuration")
        content = self._content(item)
        if item.kind == b"av01":
            sizes = av1_sizes(configs[0][4:], self._units) + av1_sizes(content, self._units)
        else:
            length_bytes, sizes = hevc_config_sizes(configs[0])
            sizes += hevc_sizes(content, length_bytes, self._units)
        if not sizes:
            raise damaged("its coded picture has no size")
        return sizes

    def _of_grid(self, item: _Item, shown: Size) -> int:
        """Pixels of a grid (ISO/IEC 23008-12, 6.6.2.3), and of all of its tiles."""
        content = self._content(item)
        rows, columns = content[2] + 1, content[3] + 1
        form = ">II" if content[1] & 1 else ">HH"
        width, height = struct.unpack_from(form, content, 4)
        if rows * columns != len(item.tiles) or not item.tiles:
            raise damaged(f"it has {len(item.tiles)} tiles in a grid of {columns} x {rows}")
        pixels = 0
        for number in item.tiles:
            tile = self._item(number)
            if tile.kind not in CODED:
                raise damaged("a tile of it is no picture")
            pixels += self._decoded(number)
        return max(pixels, int(width * height), shown[0] * shown[1])
