"""Hostile HEIC, AVIF, JPEG 2000 and PPM: numbers within boxes, segments and headers."""

import struct

from tests.fuzz.numbers import LONG_NUMBERS, MOST_BYTES, NUMBERS, REPEATS, Random

# The boxes and segments whose numbers decide on memory and work.
NAMES = (
    *(b"ftyp", b"meta", b"pitm", b"iloc", b"iinf", b"infe", b"iref", b"dimg", b"auxl", b"iprp"),
    *(b"ipco", b"ipma", b"ispe", b"hvcC", b"av1C", b"irot", b"idat", b"mdat", b"moov", b"stsz"),
    *(
        b"stts",
        b"stsc",
        b"jp2h",
        b"ihdr",
        b"colr",
        b"jp2c",
        b"\xff\x51",
        b"\xff\x52\0",
        b"\xff\x90",
    ),
)
FORMS = ("B", "B", ">H", ">I", ">Q")
REACH = 60  # bytes behind a name


def boxed(chance: Random, data: bytes) -> bytes:
    """One photo with a number of a box changed, or with a box many times."""
    found = [(name, data.index(name)) for name in NAMES if name in data]
    if not found:
        return data
    name, start = chance.choice(found)
    if chance.random() < 0.1:
        (size,) = struct.unpack_from(">I", data, start - 4) if start >= 4 else (0,)
        part = data[start - 4 : start - 4 + size]
        most = max(1, MOST_BYTES // max(1, len(part)))
        return data[: start - 4] + part * min(chance.choice(REPEATS), most) + data[start - 4 :]
    form = chance.choice(FORMS)
    width = struct.calcsize(form)
    # the box's own size stands before its name
    at = chance.choice((start - 4, start + len(name) + chance.randrange(REACH)))
    if at < 0 or at + width > len(data):
        return data
    value = chance.choice(LONG_NUMBERS) % 256**width
    return data[:at] + struct.pack(form, value) + data[at + width :]


def ppm(chance: Random, data: bytes) -> bytes:
    """One photo with another number, comment or filling in its header."""
    words = data[:40].split()
    if not words:
        return data
    word = chance.choice(words)
    pieces = (
        str(chance.choice(NUMBERS)).encode(),
        b"#" + bytes(chance.choice(REPEATS)) + b"\n1",
        b" " * chance.choice(REPEATS) + word,
        b"P" + str(chance.randrange(10)).encode(),
    )
    return data.replace(word, chance.choice(pieces), 1)
