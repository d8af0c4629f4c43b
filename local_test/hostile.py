"""Bodies that a server must survive: photos with false headers, heavy photos, other files, JSON."""

import io
import json
import random
import struct
import zlib
from base64 import b64encode

import numpy as np
from PIL import Image

LARGEST = 6300  # squared, just under the server's limit of 40 million pixels
SQUARE = (LARGEST, LARGEST)
COLOUR = (9, 99, 199)
TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # by a quarter
LFS_POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\n"
    b"size 12345\n"
)
# it would call os.system("true")
PICKLE = (
    b"\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94"
    b"\x8c\x04true\x94\x85\x94R\x94."
)


def hostile_bodies() -> dict[str, bytes]:
    """Bodies by name; made anew each time, always the same."""
    return {**_lying(), **_heavy(), **_odd(), **_damaged(), **_no_photos(), **_json()}


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _png(
    width: int, height: int, bits: int, colour: int, data: bytes = b"", extra: bytes = b""
) -> bytes:
    """A PNG file by hand: its header may say anything."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + name
            + content
            + struct.pack(">I", zlib.crc32(name + content))
        )

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def _lying() -> dict[str, bytes]:
    """Headers that claim more than there is, or more than may be."""
    jpeg = bytearray(_encoded(Image.new("RGB", (64, 64), "red"), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", 65500, 65500)
    small = bytearray(_encoded(Image.new("RGB", (64, 64), "red"), "JPEG"))
    small[frame + 5 : frame + 9] = struct.pack(">HH", 6000, 6000)
    bmp = bytearray(_encoded(Image.new("RGB", (4, 4)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60000, 60000)
    gif = bytearray(_encoded(Image.new("P", (4, 4)), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    text = b"zTXt" + b"Comment\0\0" + zlib.compress(b"\0" * 200_000_000)
    return {
        "bomb_1bit.png": _png(30000, 30000, 1, 0, b"\0" * 3751 * 30000),
        "claims_2e9_squared.png": _png(2**31 - 1, 2**31 - 1, 8, 2),
        "zero_by_zero.png": _png(0, 0, 8, 2),
        "no_samples_6000.png": _png(6000, 6000, 8, 6),
        "text_bomb.png": _png(
            8,
            8,
            8,
            0,
            b"\0" * 72,
            struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)),
        ),
        "claims_65500.jpg": bytes(jpeg),
        "claims_6000.jpg": bytes(small),
        "claims_60000.bmp": bytes(bmp),
        "claims_65535.gif": bytes(gif),
    }


def _heavy() -> dict[str, bytes]:
    """Small files, honest, that take all the memory that the limit on pixels allows."""
    ramp = np.linspace(0, 65535, LARGEST, dtype=np.uint16)
    grey16 = Image.fromarray(np.broadcast_to(ramp, SQUARE).copy())
    return {
        "rgb_40mp.png": _encoded(Image.new("RGB", SQUARE, COLOUR), "PNG", compress_level=1),
        "rgba_40mp.png": _encoded(
            Image.new("RGBA", SQUARE, (*COLOUR, 99)), "PNG", compress_level=1
        ),
        "grey16_40mp.png": _encoded(grey16, "PNG", compress_level=1),
        "palette_40mp.png": _encoded(
            Image.new("P", SQUARE), "PNG", compress_level=1, transparency=b"\x10" * 256
        ),
        "rgb_40mp.jpg": _encoded(
            Image.new("RGB", SQUARE, COLOUR),
            "JPEG",
            exif=TURNED,
        ),
        "cmyk_40mp.jpg": _encoded(Image.new("CMYK", SQUARE, (*COLOUR, 9)), "JPEG"),
        "progressive_40mp.jpg": _encoded(
            Image.new("RGB", SQUARE, COLOUR), "JPEG", progressive=True
        ),
        "float_25mp.tiff": _encoded(
            Image.new("F", (5000, 5000), 0.5), "TIFF", compression="tiff_deflate"
        ),
        "panorama_60000.png": _encoded(
            Image.new("RGB", (60000, 600), "blue"), "PNG", compress_level=1
        ),
        "webp_40mp.webp": _encoded(Image.new("RGB", SQUARE, COLOUR), "WEBP", method=0),
    }


def _odd() -> dict[str, bytes]:
    """Proper photos of rare kinds."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 4), np.uint8)
    photo = Image.fromarray(noise[:, :, :3])
    frames = [Image.new("P", (40, 40), index) for index in range(300)]
    return {
        "grey.jpg": _encoded(photo.convert("L"), "JPEG"),
        "cmyk.jpg": _encoded(photo.convert("CMYK"), "JPEG"),
        "one_bit.png": _encoded(photo.convert("1"), "PNG"),
        "rgba.png": _encoded(Image.fromarray(noise, "RGBA"), "PNG"),
        "grey_alpha.png": _encoded(photo.convert("LA"), "PNG"),
        "palette.gif": _encoded(photo.convert("P"), "GIF"),
        "one_pixel.png": _encoded(Image.new("RGB", (1, 1)), "PNG"),
        "line.png": _encoded(Image.new("RGB", (1, 9000)), "PNG"),
        "animated.gif": _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "animated.webp": _encoded(
            frames[0].convert("RGB"),
            "WEBP",
            save_all=True,
            append_images=[frame.convert("RGB") for frame in frames[1:60]],
        ),
        "pages.tiff": _encoded(photo, "TIFF", save_all=True, append_images=[photo] * 50),
        "lab.tiff": _encoded(Image.new("LAB", (9, 9)), "TIFF"),
    }


def _damaged() -> dict[str, bytes]:
    generator = random.Random(0)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))
    bodies = {}
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        whole = _encoded(noise.convert("P") if kind == "GIF" else noise, kind)
        for share in (0.02, 0.5, 0.99):
            bodies[f"truncated_{share}.{kind.lower()}"] = whole[: max(1, int(len(whole) * share))]
        for number in range(5):
            flipped = bytearray(whole)
            for _ in range(20):
                flipped[generator.randrange(len(flipped))] = generator.randrange(256)
            bodies[f"flipped_{number}.{kind.lower()}"] = bytes(flipped)
    return bodies


def _no_photos() -> dict[str, bytes]:
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
    photo = b64encode(_encoded(Image.new("RGB", (64, 64), "red"), "JPEG")).decode()
    return {
        "deep.json": b'{"instances":' * 100_000,
        "deep_list.json": b"[" * 3_000_000,
        "many_numbers.json": b"[" + b"1," * 2_900_000 + b"1]",
        "long_number.json": b"9" * 1_000_000,
        "same_keys.json": b"{" + b'"b64":"",' * 300_000 + b'"b64":""}',
        "not_base64.json": b'{"instances":[{"b64":"' + b"!" * 4_000_000 + b'"}]}',
        "long_base64.json": b'{"instances":[{"b64":"' + b"A" * 6_000_000 + b'"}]}',
        "too_many.json": json.dumps({"instances": [{"b64": photo}] * 1001}).encode(),
        "many.json": json.dumps({"instances": [{"b64": photo}] * 200}).encode(),
        "surrogate.json": b'{"instances":[{"b64":"\\ud800"}]}',
        "null.json": b"null",
        "lines.jsonl": b"{}\n" * 900_000,
    }
