"""HEIC files made box by box, for tests of what boxes may claim."""

import io
import struct

from PIL import Image

from artifact.photos.formats import register_heif

SIDE = 96
TILE = 64


def encoded(kind: str, size: tuple[int, int] = (SIDE, SIDE), **options: object) -> bytes:
    """A photo with some structure."""
    register_heif()
    image = Image.effect_mandelbrot(size, (-2, -1, 1, 1), 60).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"speed": 10} if kind == "AVIF" else {}), **options)
    return buffer.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def grid(
    rows: int = 2,
    columns: int = 2,
    refer: int = 0,
    size: tuple[int, int] = (96, 96),
    more: bytes = b"",
    tile_side: int = TILE,
) -> bytes:
    """A HEIC whose photo is a grid of one tile of tile_side pixels a side, many times.

    refer: how often the tile is named, if not as the grid says. more: a property of the grid.
    """
    tile = encoded("HEIF", (tile_side, tile_side))
    start = tile.index(b"hvcC") - 4
    config = tile[start : start + struct.unpack_from(">I", tile, start)[0]]
    mdat = tile[tile.index(b"mdat") + 4 :]
    count = refer or rows * columns
    descriptor = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    infos = [
        box(b"infe", struct.pack(">IHH4sB", 2 << 24, number, 0, kind, 0))
        for number, kind in ((1, b"hvc1"), (2, b"grid"))
    ]
    properties = box(
        b"ipco",
        config,
        box(b"ispe", struct.pack(">III", 0, tile_side, tile_side)),
        box(b"ispe", struct.pack(">III", 0, *size)),
        more,
    )
    of_grid = [3, 0x84] if more else [3]
    uses = box(
        b"ipma",
        struct.pack(">IIHBBBHB", 0, 2, 1, 2, 0x81, 2, 2, len(of_grid)),
        bytes(of_grid),
    )
    reference = box(b"dimg", struct.pack(">HH", 2, count), struct.pack(">H", 1) * count)

    def file(at: int) -> bytes:
        places = struct.pack(">IHH", 1 << 24, 0x4400, 2)
        places += struct.pack(">HHHHII", 1, 0, 0, 1, at, len(mdat))
        places += struct.pack(">HHHHII", 2, 1, 0, 1, 0, len(descriptor))
        meta = box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, 2)),
            box(b"iloc", places),
            box(b"iinf", struct.pack(">IH", 0, 2), *infos),
            box(b"iref", bytes(4), reference),
            box(b"iprp", properties, uses),
            box(b"idat", descriptor),
        )
        return box(b"ftyp", b"heic", bytes(4), b"mif1heic") + meta + box(b"mdat", mdat)

    return file(file(0).index(mdat))
