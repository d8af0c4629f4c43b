"""Hostile TIFFs: tags with values that decide on memory and work, alone and in pairs."""

from tests.fuzz import containers
from tests.fuzz.containers import Parts, TiffForm
from tests.fuzz.numbers import LONG_NUMBERS, MOST_BYTES, NUMBERS, Random

TAGS = (
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 284, 292, 296),
    *(317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 512, 513, 514, 529, 530, 532, 34377),
    *(34665, 34675, 34853, 50838, 50839),
)
COMPRESSIONS = (1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946, 34925, 50000, 50001)
# Types of values: 1 to 12, and those of BigTIFF.
TYPES = (*range(1, 14), 16, 17, 18)
SHORT = 3
LONG = 4
WIDTH = 256
HEIGHT = 257
COMPRESSION = 259
STRIP_OFFSETS = 273
ROWS_PER_STRIP = 278
STRIP_BYTE_COUNTS = 279
TILE_WIDTH = 322
TILE_LENGTH = 323
TILE_OFFSETS = 324
TILE_BYTE_COUNTS = 325


def tiff(chance: Random, data: bytes) -> bytes:
    """One photo, with some tags changed."""
    form = containers.tiff_form(data)
    parts = containers.tiff_parts(data)
    kind = chance.random()
    if kind < 0.15:
        large_tiles(chance, parts, form)
    elif kind < 0.25:
        many_strips(chance, parts, form)
    else:
        for _ in range(chance.choice((1, 1, 2, 3))):
            put(parts, random_tag(chance, form), form)
    joined = containers.tiff_joined(parts)
    if chance.random() < 0.03:
        # The directory itself lies anywhere.
        place = form.pack(form.word, hostile_number(chance, form))
        joined = joined[: form.start] + place + joined[form.start + len(place) :]
    return joined


def hostile_number(chance: Random, form: TiffForm) -> int:
    if form.is_big:
        return chance.choice(LONG_NUMBERS)
    return chance.choice(NUMBERS)


def large_tiles(chance: Random, parts: Parts, form: TiffForm) -> None:
    """Tiles that are larger than the photo, in place of its strips."""
    for name in (STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTE_COUNTS):
        remove(parts, name, form)
    offset = 8
    for name, value in (
        (TILE_WIDTH, hostile_number(chance, form)),
        (TILE_LENGTH, hostile_number(chance, form)),
        (TILE_OFFSETS, offset),
        (TILE_BYTE_COUNTS, hostile_number(chance, form)),
        (COMPRESSION, chance.choice(COMPRESSIONS)),
    ):
        if chance.random() < 0.1:
            continue  # a tile with one side, or without a place
        put(parts, tag(name, LONG, 1, value, form), form)


def many_strips(chance: Random, parts: Parts, form: TiffForm) -> None:
    """A strip for each row, with the two lists of offsets and sizes that this takes."""
    most = MOST_BYTES // 8 - len(parts.head) // 8 - 1000
    rows = min(chance.choice((1000, 20_000, 700_000)), most)
    place = len(parts.head)
    numbers = form.pack("I", 8) * rows
    parts.head += numbers + numbers
    for name, count, value in (
        (WIDTH, 1, chance.choice((1, 8, 100))),
        (HEIGHT, 1, rows),
        (ROWS_PER_STRIP, 1, 1),
        (STRIP_OFFSETS, rows, place),
        (STRIP_BYTE_COUNTS, rows, place + len(numbers)),
    ):
        put(parts, tag(name, LONG, count, value, form), form)


def random_tag(chance: Random, form: TiffForm) -> bytes:
    name = chance.choice(TAGS)
    kind = chance.choice((SHORT, LONG, LONG, chance.choice(TYPES)))
    count = 1
    if chance.random() < 0.2:
        count = hostile_number(chance, form)
    value = hostile_number(chance, form)
    if name == COMPRESSION:
        value = chance.choice(COMPRESSIONS)
    return tag(name, kind, count, value, form)


def tag(name: int, kind: int, count: int, value: int, form: TiffForm) -> bytes:
    """The bytes of a tag; a short stands in the first half of the field."""
    start = form.pack(f"HH{form.word}", name, kind, count)
    if kind == SHORT:
        value_bytes = form.tag_bytes - len(start)
        return start + form.pack("H", value % 65536).ljust(value_bytes, b"\0")
    return start + form.pack(form.word, value)


def put(parts: Parts, fresh: bytes, form: TiffForm) -> None:
    """Replace a tag, or add it in its place: tags stand in order."""
    wanted = number_of(fresh, form)
    for at, part in enumerate(parts.parts):
        known = number_of(part, form)
        if known == wanted:
            parts.parts[at] = fresh
            return
        if known > wanted:
            parts.parts.insert(at, fresh)
            return
    parts.parts.append(fresh)


def remove(parts: Parts, name: int, form: TiffForm) -> None:
    parts.parts = [part for part in parts.parts if number_of(part, form) != name]


def number_of(part: bytes, form: TiffForm) -> int:
    """A tag's number; 0 for a torn one."""
    if len(part) < form.tag_bytes:
        return 0
    return form.unpack("H", part, 0)
