"""What decoders say of damaged photos does not reach the log."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image

from artifact.photos.decoder import decode
from artifact.photos.kinds import PhotoError


@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits", "group4"]
)
def test_a_damaged_tiff_writes_nothing_to_the_log(capfd, recwarn, compression):
    samples = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    mode = "1" if compression == "group4" else "RGB"
    buffer = io.BytesIO()
    Image.fromarray(samples).convert(mode).save(buffer, "TIFF", compression=compression)
    damaged = bytearray(buffer.getvalue())
    for place in range(20, 120, 7):
        damaged[place] ^= 0x5A
    with contextlib.suppress(PhotoError):
        decode(bytes(damaged))
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
