"""JPEGs of 48 and 108 megapixels: what decoding holds is known before, and is little."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from artifact.photos.bounds import check_pixels, photo_header
from artifact.photos.decoder import MAX_PIXELS, decode_reduced
from artifact.photos.formats import PhotoHeader
from artifact.photos.kinds import PhotoError
from artifact.photos.shrinking import decoded_for
from serve.predictor import MAX_PIXELS as SERVED
from tests.fuzz.watch import memory_mb
from tests.support.jobs import REPOSITORY

SIZE = (12_000, 9_000)
PEAK = """
import io, json, sys
from pathlib import Path
from PIL import Image
from artifact.photos.decoder import decode_reduced
from tests.fuzz.watch import memory_mb
data = sys.stdin.buffer.read()
Path("/proc/self/clear_refs").write_text("5")
photo = decode_reduced(data, 256)
print(json.dumps([memory_mb("VmHWM"), photo.factor, photo.size]))
"""


def claiming(size: tuple[int, int], **options: object) -> bytes:
    """A small JPEG whose header says that it is large."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "JPEG", **options)
    small = (48).to_bytes(2, "big") + (64).to_bytes(2, "big")
    return buffer.getvalue().replace(small, size[1].to_bytes(2, "big") + size[0].to_bytes(2, "big"))


@pytest.mark.parametrize("size", [(8000, 6000), SIZE])
def test_a_large_baseline_jpeg_holds_little(size):
    header = decoded_for(photo_header(claiming(size), MAX_PIXELS), 256)
    check_pixels(header, SERVED)
    assert header.pixels == size[0] * size[1] // 64
    assert header.seconds < photo_header(claiming(size), MAX_PIXELS).seconds
    with pytest.raises(PhotoError, match="at most 40,000,000 in all are accepted"):
        check_pixels(photo_header(claiming(size), MAX_PIXELS), SERVED)


def test_a_progressive_one_holds_its_coefficients():
    header = decoded_for(photo_header(claiming(SIZE, progressive=True), MAX_PIXELS), 256)
    with pytest.raises(PhotoError, match="in several scans; send a baseline JPEG"):
        check_pixels(header, SERVED)
    smaller = claiming((8000, 6000), progressive=True)
    check_pixels(decoded_for(photo_header(smaller, MAX_PIXELS), 256), SERVED)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_a_heic_is_planned_by_what_libheif_takes(kind):
    photo = decoded_for(PhotoHeader(kind, 8064, 6048, 10**7), 256)
    check_pixels(photo, SERVED)
    assert photo.seconds == PhotoHeader(kind, 8064, 6048, 10**7).seconds
    with pytest.raises(PhotoError, match=r"it has 10000 x 8000 pixels; at most 40,000,000 in all"):
        check_pixels(decoded_for(PhotoHeader(kind, 10_000, 8_000, 10**7), 256), SERVED)


def test_a_cut_one_takes_no_more_than_a_whole_one():
    """What fails is looked at again, at the size that the caller needs."""
    buffer = io.BytesIO()
    Image.new("RGB", (3200, 3200), "red").save(buffer, "JPEG")
    whole = buffer.getvalue()
    Path("/proc/self/clear_refs").write_text("5")
    before = memory_mb("VmRSS")
    for cut in (whole[:-2000], whole[:-200]):
        with pytest.raises(PhotoError, match="truncated"):
            decode_reduced(cut, 250)
    assert decode_reduced(whole[:-2], 250).factor == 8
    # the pixels of the whole photo are 39 MB
    assert memory_mb("VmHWM") - before < 20


def test_a_progressive_one_is_cut_at_any_size():
    """Its last scans, at an eighth of its size, change nothing."""
    buffer = io.BytesIO()
    Image.effect_noise((800, 800), 60).save(buffer, "JPEG", progressive=True)
    whole = buffer.getvalue()
    assert decode_reduced(whole[:-2], 60).factor == 8
    with pytest.raises(PhotoError, match="truncated"):
        decode_reduced(whole[:-2000], 60)


@pytest.mark.verify
def test_a_jpeg_of_108_megapixels_takes_less_than_250_mb():
    buffer = io.BytesIO()
    Image.new("RGB", SIZE, "red").save(buffer, "JPEG")
    done = subprocess.run(
        [sys.executable, "-c", PEAK],
        cwd=REPOSITORY,
        input=buffer.getvalue(),
        capture_output=True,
        check=True,
    )
    peak, factor, size = json.loads(done.stdout)
    assert (factor, tuple(size)) == (8, SIZE)
    assert peak < 250
