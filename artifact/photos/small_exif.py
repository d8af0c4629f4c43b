"""EXIF data cut down to what decides how pixels look: orientation and colour space.

Standard library only, because the Lambda function holds it, too (web/).
"""

import re
import struct
from collections.abc import Mapping

HEAD = b"Exif\0\0"
ORIENTATION = 0x0112
EXIF_FOLDER = 0x8769
COLOUR_SPACE = 0xA001
INTEROPERABILITY_FOLDER = 0xA005
INTEROPERABILITY_INDEX = 1  # R03 stands for Adobe RGB
SRGB = 1
ENTRY_BYTES = 12
MOST_ENTRIES = 1000
SHORT, LONG, ASCII = 3, 4, 2
XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')  # as Pillow reads it


def small_exif(data: bytes, xmp: bytes = b"") -> bytes:
    """A TIFF structure with these tags alone; b"" where they say nothing, or cannot be read.

    data: EXIF as a TIFF structure, with or without its head. xmp: a photo's other metadata, whose
    orientation counts where EXIF has none.
    """
    found = XMP_ORIENTATION.search(xmp)
    other = int(found[1]) if found else 0
    data = data.removeprefix(HEAD)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return _written(other, SRGB, False)
    try:
        main = _folder(data, order, struct.unpack_from(f"{order}L", data, 4)[0])
        exif = _folder(data, order, _number(main, EXIF_FOLDER, order))
        others = _folder(data, order, _number(exif, INTEROPERABILITY_FOLDER, order))
    except struct.error:
        return _written(other, SRGB, False)
    orientation = _number(main, ORIENTATION, order) if ORIENTATION in main else other
    colour = _number(exif, COLOUR_SPACE, order) or SRGB
    adobe = others.get(INTEROPERABILITY_INDEX, (0, b""))[1].startswith(b"R03")
    return _written(orientation, colour, adobe)


def _folder(data: bytes, order: str, at: int) -> dict[int, tuple[int, bytes]]:
    """Tag to type and the four bytes of its value. {} at 0. struct.error beyond the data."""
    if not at:
        return {}
    (count,) = struct.unpack_from(f"{order}H", data, at)
    found = {}
    for number in range(min(count, MOST_ENTRIES)):
        place = at + 2 + number * ENTRY_BYTES
        tag, kind = struct.unpack_from(f"{order}HH", data, place)
        found[tag] = (kind, struct.unpack_from("4s", data, place + 8)[0])
    return found


def _number(folder: Mapping[int, tuple[int, bytes]], tag: int, order: str) -> int:
    """The value of a tag of whole numbers; 0 without it."""
    kind, value = folder.get(tag, (0, b""))
    if kind == SHORT:
        return int(struct.unpack(f"{order}H", value[:2])[0])
    if kind in (LONG, 13):  # 13 is LONG, too, for a folder's place
        return int(struct.unpack(f"{order}L", value)[0])
    return 0


def _written(orientation: int, colour: int, adobe: bool) -> bytes:
    """The TIFF structure; b"" where orientation and colour are the usual ones."""
    main = []
    if 2 <= orientation <= 8:
        main.append(struct.pack(">HHLHH", ORIENTATION, SHORT, 1, orientation, 0))
    inner = b""
    if colour != SRGB:
        at = 8 + _length(len(main) + 1)
        main.append(struct.pack(">HHLL", EXIF_FOLDER, LONG, 1, at))
        inner = _colour_folders(at, colour, adobe)
    if not main:
        return b""
    return b"MM\0*" + struct.pack(">L", 8) + _packed(main) + inner


def _colour_folders(at: int, colour: int, adobe: bool) -> bytes:
    """The EXIF folder that lies at `at`, and the one of interoperability behind it."""
    entries = [struct.pack(">HHLHH", COLOUR_SPACE, SHORT, 1, colour, 0)]
    if not adobe:
        return _packed(entries)
    entries.append(struct.pack(">HHLL", INTEROPERABILITY_FOLDER, LONG, 1, at + _length(2)))
    index = struct.pack(">HHL4s", INTEROPERABILITY_INDEX, ASCII, 4, b"R03\0")
    return _packed(entries) + _packed([index])


def _length(entries: int) -> int:
    return 2 + entries * ENTRY_BYTES + 4


def _packed(entries: list[bytes]) -> bytes:
    return struct.pack(">H", len(entries)) + b"".join(entries) + b"\0" * 4
