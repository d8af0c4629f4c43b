"""Small photos of nine formats to begin with, made here: no file is stored."""

import io
import struct
from functools import cache

import numpy as np
from PIL import Image

from artifact.photos.formats import register_heif
from tests.support.heic import grid
from tests.support.profiles import display

FORMATS = ("TIFF", "JPEG", "PNG", "WEBP", "GIF", "HEIF", "AVIF", "JPEG2000", "PPM")
SIDE = 24  # pixels
# Of the TIFF writer below; Pillow's own writes no tiles.
TIFF_TYPES = {"short": 3, "long": 4}


@cache
def corpus() -> dict[str, list[bytes]]:
    """Valid photos by format, each with another part of the format in use."""
    random = np.random.default_rng(18)
    colours = random.integers(0, 256, (SIDE, SIDE, 4), dtype=np.uint8)
    rgba = Image.fromarray(colours)
    rgb = rgba.convert("RGB")
    grey = rgb.convert("L")
    deep = Image.fromarray(random.integers(0, 65536, (SIDE, SIDE), dtype=np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation
    return {
        "TIFF": [
            *(written(rgb, "TIFF", compression=name) for name in TIFF_COMPRESSIONS),
            written(deep, "TIFF"),
            written(grey.convert("1"), "TIFF", compression="group4"),
            written(rgba, "TIFF", compression="tiff_lzw"),
            tiled(rgb),
            written(rgb, "TIFF", big_tiff=True),
            written(rgb, "TIFF", icc_profile=display("ProPhoto")),
        ],
        "JPEG": [
            written(rgb, "JPEG", exif=exif),
            written(rgb, "JPEG", progressive=True, quality=95),
            written(grey, "JPEG"),
            written(rgb.convert("CMYK"), "JPEG"),
            written(rgb, "JPEG", icc_profile=display("Display-P3")),
        ],
        "PNG": [
            written(rgba, "PNG"),
            written(rgb.convert("P"), "PNG", transparency=0),
            written(deep, "PNG"),
            written(grey, "PNG", exif=exif),
            written(rgb, "PNG", save_all=True, append_images=[rgb.rotate(90)]),
        ],
        "WEBP": [
            written(rgba, "WEBP", lossless=True),
            written(rgb, "WEBP", exif=exif),
            written(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90)]),
        ],
        "GIF": [
            written(grey, "GIF"),
            written(rgb.convert("P"), "GIF", transparency=3, comment=b"a comment"),
            written(grey, "GIF", save_all=True, append_images=[grey.rotate(90)]),
        ],
        **boxed(rgba, exif),
        "PPM": [written(rgb, "PPM"), written(deep, "PPM"), PLAIN_PPM],
    }


PLAIN_PPM = b"P3\n# as text\n4 4\n255\n" + b"0 128 255 \n" * 16


def boxed(rgba: Image.Image, exif: Image.Exif) -> dict[str, list[bytes]]:
    """The formats that are made of boxes."""
    register_heif()
    rgb = rgba.convert("RGB")
    turned = [rgb.rotate(90)]
    return {
        "HEIF": [
            written(rgba, "HEIF", exif=exif),
            written(rgb, "HEIF", save_all=True, append_images=turned),
            grid(),
        ],
        "AVIF": [
            written(rgba, "AVIF", exif=exif),
            written(rgb, "AVIF", save_all=True, append_images=turned),
        ],
        "JPEG2000": [
            written(rgba, "JPEG2000"),
            written(rgb, "JPEG2000", no_jp2=True, tile_size=(8, 8)),
            written(rgb, "JPEG2000", quality_layers=[40, 20], codeblock_size=(16, 16)),
        ],
    }


TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")


def written(image: Image.Image, format_name: str, **options: object) -> bytes:
    """A photo as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def tiled(image: Image.Image) -> bytes:
    """An RGB photo as an uncompressed TIFF of one tile of 32 x 32 pixels."""
    side = 32
    canvas = Image.new("RGB", (side, side))
    canvas.paste(image)
    samples = canvas.tobytes()
    tags = [
        (256, "short", image.width),
        (257, "short", image.height),
        (258, "short", 8),  # BitsPerSample
        (259, "short", 1),  # Compression
        (262, "short", 2),  # PhotometricInterpretation: RGB
        (277, "short", 3),  # SamplesPerPixel
        (284, "short", 1),  # PlanarConfiguration
        (322, "short", side),  # TileWidth
        (323, "short", side),  # TileLength
        (324, "long", 8),  # TileOffsets
        (325, "long", len(samples)),  # TileByteCounts
    ]
    entries = b"".join(
        struct.pack("<HHII", tag, TIFF_TYPES[kind], 1, value) for tag, kind, value in tags
    )
    header = struct.pack("<2sHI", b"II", 42, 8 + len(samples))
    return header + samples + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
