"""Bodies that a server must survive: photos with false headers, heavy photos, other files, JSON."""

import io
import json
import random
import struct
import zlib
from base64 import b64encode

import numpy as np
import numpy.typing as npt
from PIL import Image

from local_test.hostile_photos import HEAVY, NEVER_OPENED

LARGEST = 6300  # squared, just under the server's limit of 40 million pixels
SQUARE = (LARGEST, LARGEST)
COLOUR = (9, 99, 199)
TRANSLUCENT = (*COLOUR, 99)
INK = (*COLOUR, 9)
FAST = 1  # of zlib's levels: pictures of one colour are small at any of them
TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # by a quarter
LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)
# Whoever unpickles it calls os.system("true").
PICKLE = (
    b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94"
    b"\x8c\x04true\x94\x85\x94R\x94."
)


def hostile_bodies() -> dict[str, bytes]:
    """Bodies by name; made anew each time, always the same."""
    photos = HEAVY | NEVER_OPENED | _lying() | _heavy() | _odd() | _damaged()
    return photos | _no_photos() | _json()


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _black(mode: str, size: tuple[int, int], kind: str) -> bytes:
    return _encoded(Image.new(mode, size), kind)


def _png(
    width: int, height: int, bits: int, colour: int, data: bytes = b"", extra: bytes = b""
) -> bytes:
    """A PNG file by hand: its header may say anything. extra: chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [
        _chunk(b"IHDR", header),
        extra,
        _chunk(b"IDAT", zlib.compress(data)),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG: length, name, content, checksum of both."""
    length = struct.pack(">I", len(content))
    crc = zlib.crc32(name + content)
    checksum = struct.pack(">I", crc)
    return length + name + content + checksum


def _lying() -> dict[str, bytes]:
    """Headers that claim more than there is, or more than may be."""
    jpeg = _red_jpeg()
    frame = jpeg.index(b"\xff\xc0") + 5  # past marker, length and bits; then height and width
    bmp = _black("RGB", (4, 4), "BMP")
    gif = _black("P", (4, 4), "GIF")
    side = 2**31 - 1  # the most that PNG's header can say
    zeros = b"\0" * 200_000_000
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(zeros))
    one_bit_rows = b"\0" * 3751 * 30000  # 30,000 rows: a byte for the filter, 3,750 of pixels
    return {
        "bomb_1bit.png": _png(30000, 30000, 1, 0, one_bit_rows),
        "claims_2e9_squared.png": _png(side, side, 8, 2),
        "zero_by_zero.png": _png(0, 0, 8, 2),
        "no_samples_6000.png": _png(6000, 6000, 8, 6),
        "text_bomb.png": _png(8, 8, 8, 0, b"\0" * 72, text),
        "claims_65500.jpg": _with_side(jpeg, frame, ">HH", 65500),
        "claims_6000.jpg": _with_side(jpeg, frame, ">HH", 6000),
        "claims_60000.bmp": _with_side(bmp, 18, "<ii", 60000),
        "claims_65535.gif": _with_side(gif, 6, "<HH", 65535),
    }


def _red_jpeg() -> bytes:
    return _encoded(Image.new("RGB", (64, 64), "red"), "JPEG")


def _with_side(content: bytes, start: int, layout: str, side: int) -> bytes:
    """The file, with its header's width and height both set. layout: of struct."""
    size = struct.pack(layout, side, side)
    end = start + len(size)
    return content[:start] + size + content[end:]


def _heavy() -> dict[str, bytes]:
    """Small files, honest, that take all the memory that the limit on pixels allows."""
    row = np.linspace(0, 65535, LARGEST, dtype=np.uint16)
    grey16 = Image.fromarray(np.broadcast_to(row, SQUARE).copy())
    floats = Image.new("F", (5000, 5000), 0.5)
    panorama = Image.new("RGB", (60000, 600), "blue")
    palette = Image.new("P", SQUARE)
    translucent = b"\x10" * 256  # the opacity of each colour of the palette
    return {
        "rgb_40mp.png": _square("RGB", COLOUR, "PNG", compress_level=FAST),
        "rgba_40mp.png": _square("RGBA", TRANSLUCENT, "PNG", compress_level=FAST),
        "grey16_40mp.png": _encoded(grey16, "PNG", compress_level=FAST),
        "palette_40mp.png": _encoded(palette, "PNG", compress_level=FAST, transparency=translucent),
        "rgb_40mp.jpg": _square("RGB", COLOUR, "JPEG", exif=TURNED),
        "cmyk_40mp.jpg": _square("CMYK", INK, "JPEG"),
        "progressive_40mp.jpg": _square("RGB", COLOUR, "JPEG", progressive=True),
        "float_25mp.tiff": _encoded(floats, "TIFF", compression="tiff_deflate"),
        "panorama_60000.png": _encoded(panorama, "PNG", compress_level=FAST),
        "webp_40mp.webp": _square("RGB", COLOUR, "WEBP", method=0),
    }


def _square(mode: str, colour: tuple[int, ...], kind: str, **options: object) -> bytes:
    """A picture of one colour with the most pixels that a server must accept."""
    return _encoded(Image.new(mode, SQUARE, colour), kind, **options)


def _odd() -> dict[str, bytes]:
    """Proper photos of rare kinds."""
    noise = _noise(4)
    photo = Image.fromarray(noise[:, :, :3])
    frames = [Image.new("P", (40, 40), index) for index in range(300)]
    gif, *more_gif = frames
    webp, *more_webp = [frame.convert("RGB") for frame in frames[:60]]
    pages = [photo] * 50
    return {
        "grey.jpg": _encoded(photo.convert("L"), "JPEG"),
        "cmyk.jpg": _encoded(photo.convert("CMYK"), "JPEG"),
        "one_bit.png": _encoded(photo.convert("1"), "PNG"),
        "rgba.png": _encoded(Image.fromarray(noise, "RGBA"), "PNG"),
        "grey_alpha.png": _encoded(photo.convert("LA"), "PNG"),
        "palette.gif": _encoded(photo.convert("P"), "GIF"),
        "one_pixel.png": _black("RGB", (1, 1), "PNG"),
        "line.png": _black("RGB", (1, 9000), "PNG"),
        "animated.gif": _encoded(gif, "GIF", save_all=True, append_images=more_gif),
        "animated.webp": _encoded(webp, "WEBP", save_all=True, append_images=more_webp),
        "pages.tiff": _encoded(photo, "TIFF", save_all=True, append_images=pages),
        "lab.tiff": _black("LAB", (9, 9), "TIFF"),
    }


def _noise(channels: int) -> npt.NDArray[np.uint8]:
    """Random pixels, uint8 [60, 80, channels]: they compress badly, so that files are full."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (60, 80, channels), np.uint8)


def _damaged() -> dict[str, bytes]:
    """Each kind of file cut off, and with bytes replaced."""
    generator = random.Random(0)
    noise = Image.fromarray(_noise(3))
    bodies = {}
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        suffix = kind.lower()
        image = noise
        if kind == "GIF":  # it has palettes alone
            image = noise.convert("P")
        whole = _encoded(image, kind)
        for share in (0.02, 0.5, 0.99):
            end = max(1, int(len(whole) * share))
            bodies[f"truncated_{share}.{suffix}"] = whole[:end]
        for number in range(5):
            flipped = bytearray(whole)
            for _ in range(20):
                value = generator.randrange(256)
                flipped[generator.randrange(len(flipped))] = value
            bodies[f"flipped_{number}.{suffix}"] = bytes(flipped)
    return bodies


def _no_photos() -> dict[str, bytes]:
    """Other files, some of which a careless reader would run."""
    return {
        "empty": b"",
        "one_byte": b"\xff",
        "lfs_pointer.jpg": LFS_POINTER,
        "page.html": b"<!doctype html><title>404</title><h1>Not found</h1>",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"/>',
        "script.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file\n",
        "paper.pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
        "pickle": PICKLE,
        "zeros": b"\0" * 5_000_000,
        "noise": random.Random(1).randbytes(1_000_000),
    }


def _json() -> dict[str, bytes]:
    """JSON that is deep, long, broken, or has too many photos."""
    photo = {"b64": b64encode(_red_jpeg()).decode()}
    return {
        "deep.json": b'{"instances":' * 100_000,
        "deep_list.json": b"[" * 3_000_000,
        "many_numbers.json": b"[" + b"1," * 2_900_000 + b"1]",
        "long_number.json": b"9" * 1_000_000,
        "same_keys.json": b"{" + b'"b64":"",' * 300_000 + b'"b64":""}',
        "not_base64.json": b'{"instances":[{"b64":"' + b"!" * 4_000_000 + b'"}]}',
        "long_base64.json": b'{"instances":[{"b64":"' + b"A" * 6_000_000 + b'"}]}',
        "too_many.json": _instances(photo, 1001),
        "many.json": _instances(photo, 200),
        "surrogate.json": b'{"instances":[{"b64":"\\ud800"}]}',
        "null.json": b"null",
        "lines.jsonl": b"{}\n" * 900_000,
    }


def _instances(photo: dict[str, str], count: int) -> bytes:
    """One JSON request with the same photo as often as this."""
    document = {"instances": [photo] * count}
    return json.dumps(document).encode()
