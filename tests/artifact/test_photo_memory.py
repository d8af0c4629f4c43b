"""The memory that good photos take to be decoded, by the peak of a process of its own."""

import base64
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from serve.predictor import PIXEL_BYTES
from tests.support import heic
from tests.support.jobs import REPOSITORY

SIDE = 1500  # squared: 50 MB for the dearest kind
SLACK_MB = 8  # the file itself, and a strip of it in floating point
MEASURE = """
import base64, json, sys
from pathlib import Path
from artifact.photos.bounds import photo_header
from artifact.photos.decoder import decode
from artifact.photos.shrinking import decoded_for
from tests.fuzz.watch import memory_mb

found = {}
for line in sys.stdin:
    name, text = json.loads(line)
    data = base64.b64decode(text)
    decode(data)  # once before: libraries load their parts, and the C library's heap is as it stays
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins at the present size
    before = memory_mb("VmRSS")
    decode(data)
    found[name] = ((memory_mb("VmHWM") - before), decoded_for(photo_header(data, 10**9), 0).pixels)
print(json.dumps(found))
"""


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def dear_photos() -> dict[str, bytes]:
    """The dearest of each format."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 4, (SIDE // 50, SIDE // 50, 3), np.uint8) * 80
    rgb = Image.fromarray(blocks).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    deep = Image.fromarray(rng.random((SIDE, SIDE), np.float32).round(1))
    one_strip = 10**9
    return {
        "WebP": encoded(rgb, "WEBP", lossless=True, method=0),
        "WebP, translucent": encoded(rgb.convert("RGBA"), "WEBP", method=0),
        "PNG, translucent": encoded(rgb.convert("RGBA"), "PNG", compress_level=1),
        "PNG of 16 bits": encoded(deep.convert("I;16"), "PNG", compress_level=1),
        "TIFF of floats": encoded(deep, "TIFF", compression="tiff_lzw"),
        "TIFF in one strip": encoded(
            rgb.convert("CMYK"), "TIFF", compression="tiff_lzw", strip_size=one_strip
        ),
        "JPEG, progressive": encoded(rgb.convert("CMYK"), "JPEG", progressive=True),
        "HEIC in tiles": heic.grid(3, 3, size=(1536, 1536), tile_side=512),
        "AVIF": heic.encoded("AVIF", (SIDE, SIDE)),
        "GIF, translucent": encoded(rgb.quantize(32), "GIF", transparency=1),
    }


@pytest.mark.slow
def test_no_photo_takes_more_than_the_server_plans_for_a_pixel():
    photos = dear_photos()
    lines = [json.dumps([name, base64.b64encode(data).decode()]) for name, data in photos.items()]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=REPOSITORY,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert set(found) == set(photos)
    wrong = {
        name: megabytes
        for name, (megabytes, pixels) in found.items()
        if megabytes > SLACK_MB + pixels * PIXEL_BYTES / 2**20
    }
    assert wrong == {}
