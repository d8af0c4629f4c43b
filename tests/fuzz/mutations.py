"""A damaged photo from a valid one: its structure stays readable, its values become hostile.

Random bytes alone hardly get past the first check of a decoder. So sizes, counts and checksums of
the outer form are mended, and numbers within take the values at which decoders allocate and count.
"""

import struct
import zlib
from collections.abc import Callable
from functools import cache

from tests.fuzz import containers
from tests.fuzz.box_mutations import boxed, ppm
from tests.fuzz.containers import Parts
from tests.fuzz.corpus import FORMATS, corpus
from tests.fuzz.numbers import MOST_BYTES, NUMBERS, REPEATS, Random
from tests.fuzz.tiff_mutations import tiff


def case(seed: int, number: int, only: str = "") -> tuple[str, bytes]:
    """The format and the bytes of one case; the same for the same seed, number and `only`."""
    chance = Random(f"{seed}/{number}")
    name = only or chance.choice(FORMATS)
    data = chance.choice(corpus()[name])
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5))):
        try:
            data = MUTATORS[name](chance, data)[:MOST_BYTES]
        except (struct.error, IndexError, OverflowError):
            # An earlier mutation has left no structure to change.
            data = flipped(chance, data)
    if chance.random() < 0.15:
        data = flipped(chance, data)
    return name, data


def flipped(chance: Random, data: bytes) -> bytes:
    """Some bytes changed, a piece cut out or doubled, or the end gone."""
    changed = bytearray(data)
    kind = chance.randrange(4)
    if not changed:
        return data
    if kind == 0:
        for _ in range(chance.choice((1, 2, 4, 16))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    start, end = sorted(chance.randrange(len(changed) + 1) for _ in range(2))
    if kind == 1:
        return data[:start] + data[end:]
    if kind == 2:
        return data[:end] + data[start:]
    return data[:end]


def parts_changed(chance: Random, parts: Parts, make: Callable[[Random], bytes]) -> None:
    """One part removed, moved, repeated, damaged, or a hostile one put in."""
    at = chance.randrange(len(parts.parts) + 1)
    kind = chance.randrange(5)
    if kind == 0 or at == len(parts.parts):
        parts.parts.insert(at, make(chance))
    elif kind == 1:
        del parts.parts[at]
    elif kind == 2:
        parts.parts.insert(chance.randrange(len(parts.parts)), parts.parts.pop(at))
    elif kind == 3:
        part = parts.parts[at]
        most = max(1, MOST_BYTES // max(1, len(part)))
        parts.parts[at : at + 1] = [part] * min(chance.choice(REPEATS), most)
    else:
        parts.parts[at] = flipped(chance, parts.parts[at])


def repeated(chance: Random, part: bytes) -> bytes:
    most = max(1, MOST_BYTES // len(part))
    return part * min(chance.choice((1, 1, 1, *REPEATS)), most)


def number_set(chance: Random, part: bytes, at: int, form: str) -> bytes:
    """A hostile number written at a place of a part; the part as it is where it is too short."""
    size = struct.calcsize(form)
    if len(part) < at + size:
        return part
    value = chance.choice(NUMBERS) % 256**size
    return part[:at] + struct.pack(form, value) + part[at + size :]


def jpeg(chance: Random, data: bytes) -> bytes:
    parts = containers.jpeg_parts(data)
    frames = [i for i, part in enumerate(parts.parts) if part[1] in (0xC0, 0xC1, 0xC2)]
    if frames and chance.random() < 0.4:
        at = chance.choice(frames)
        # Height, width, count of components, their sampling.
        place, form = chance.choice(((5, ">H"), (7, ">H"), (9, "B"), (11, "B"), (14, "B")))
        parts.parts[at] = number_set(chance, parts.parts[at], place, form)
        if chance.random() < 0.2:
            parts.parts[at] = b"\xff" + bytes([chance.randrange(256)]) + parts.parts[at][2:]
    else:
        parts_changed(chance, parts, jpeg_part)
    if chance.random() < 0.1:
        parts.head += b"\xff" * chance.choice((1, 1000, 1000, 1000, 5_900_000))
    return parts.joined()


def jpeg_part(chance: Random) -> bytes:
    """A segment of any kind, or many: Exif, profile, comment, tables, restarts."""
    marker = chance.choice((0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0xDB, 0xC4, 0xDD, 0xDC))
    starts = (b"", b"Exif\0\0", b"ICC_PROFILE\0\x01\x01", b"MPF\0", b"Photoshop 3.0\0")
    content = chance.choice(starts) + chance.randbytes(chance.choice((0, 1, 8, 70, 1000)))
    length = len(content) + 2
    if chance.random() < 0.1:
        length = chance.choice(NUMBERS) % 65536
    return repeated(chance, b"\xff" + bytes([marker]) + struct.pack(">H", length) + content)


def png(chance: Random, data: bytes) -> bytes:
    parts = containers.png_parts(data)
    at = chance.randrange(max(1, len(parts.parts)))
    if parts.parts and chance.random() < 0.5:
        # A chunk's first numbers: of IHDR the width, the height and five bytes of kinds.
        place, form = chance.choice(((4, ">I"), (8, ">I"), (12, "B"), (13, "B"), (16, "B")))
        parts.parts[at] = number_set(chance, parts.parts[at], place, form)
    else:
        parts_changed(chance, parts, png_part)
    return containers.png_joined(parts)


def png_part(chance: Random) -> bytes:
    """A chunk of any kind; texts and profiles that grow when they are inflated."""
    name = chance.choice(
        (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL")
    )
    inflated = chance.choice((0, 100, 1_000_000, 70_000_000))
    bomb = deflated(inflated)
    content = {
        b"zTXt": b"key\0\0" + bomb,
        b"iCCP": b"name\0\0" + bomb,
        b"iTXt": b"key\0\x01\0\0\0" + bomb,
        b"IDAT": bomb,
        b"acTL": struct.pack(">II", chance.choice(NUMBERS), 0),
    }
    made = content.get(name, chance.randbytes(chance.choice((0, 1, 26, 768))))
    return name + made


@cache
def deflated(size: int) -> bytes:
    """Zeros of a size in bytes, a thousandth of it when compressed."""
    return zlib.compress(bytes(size), 9)


def webp(chance: Random, data: bytes) -> bytes:
    parts = containers.webp_parts(data)
    at = chance.randrange(max(1, len(parts.parts)))
    if parts.parts and chance.random() < 0.5:
        # Sizes of chunks and canvas; VP8 and VP8L have theirs in the first ten bytes.
        place = chance.choice((4, 8, 9, 12, 14, 15, 16, 18))
        parts.parts[at] = number_set(chance, parts.parts[at], place, chance.choice(("<H", "<I")))
    else:
        parts_changed(chance, parts, webp_part)
    return containers.webp_joined(parts)


def webp_part(chance: Random) -> bytes:
    name = chance.choice((b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"XMP ", b"ICCP", b"VP8L"))
    content = chance.randbytes(chance.choice((0, 6, 10, 16, 200)))
    size = struct.pack("<I", len(content))
    return repeated(chance, name + size + content + bytes(len(content) % 2))


def gif(chance: Random, data: bytes) -> bytes:
    if len(data) < 14:
        return flipped(chance, data)
    parts = containers.gif_parts(data)
    at = chance.randrange(max(1, len(parts.parts)))
    kind = chance.random()
    if kind < 0.2:
        parts.head = number_set(chance, parts.head, chance.choice((6, 8)), "<H")
    elif kind < 0.5 and parts.parts:
        # Of an image: left, top, width, height, flags, code size.
        place, form = chance.choice(((1, "<H"), (3, "<H"), (5, "<H"), (7, "<H"), (9, "B")))
        parts.parts[at] = number_set(chance, parts.parts[at], place, form)
    else:
        parts_changed(chance, parts, gif_part)
    return parts.joined()


def gif_part(chance: Random) -> bytes:
    """An extension: comment, control, application, plain text; or many."""
    label = bytes([chance.choice((0xFE, 0xF9, 0xFF, 0x01))])
    blocks = b"".join(
        bytes([size]) + bytes(size)
        for size in chance.choices((1, 4, 11, 255), k=chance.randrange(4))
    )
    return repeated(chance, b"\x21" + label + blocks + b"\0")


MUTATORS: dict[str, Callable[[Random, bytes], bytes]] = {
    "TIFF": tiff,
    "JPEG": jpeg,
    "PNG": png,
    "WEBP": webp,
    "GIF": gif,
    **dict.fromkeys(("HEIF", "AVIF", "JPEG2000"), boxed),
    "PPM": ppm,
}
