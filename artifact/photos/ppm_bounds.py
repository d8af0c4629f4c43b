"""The header of a PPM, PGM or PBM (Netpbm), before Pillow reads it byte by byte."""

import re

from artifact.photos.formats import PhotoHeader, damaged
from artifact.photos.kinds import PhotoError

MOST_HEADER = 4096  # bytes, with its comments
GAP = rb"(?:[ \t\n\v\f\r]|#[^\n\r]*[\n\r])+"
HEADER = re.compile(rb"P([1-6])" + GAP + rb"(\d{1,9})" + GAP + rb"(\d{1,9})\s")
RANGE = re.compile(rb"(?:[ \t\n\v\f\r]|#[^\n\r]*[\n\r])*(\d{1,5})\s")
PLAIN = (1, 2, 3)  # samples as text
BITS = (1, 4)  # black and white, without a range
MAX_PYTHON_SAMPLES = 3_000_000  # Pillow decodes these in Python
MAX_COMMENTS = 100  # in a plain one: Pillow copies a megabyte for each
MOST_TEXT = 12  # bytes of a sample as text


def ppm_header(data: bytes) -> PhotoHeader:
    """The header of a PPM. PhotoError for a large one that is slow to decode."""
    beginning = data[:MOST_HEADER]
    found = HEADER.match(beginning)
    if not found:
        raise damaged("a PPM without a size")
    kind, width, height = map(int, found.groups())
    most = 1
    if kind not in BITS:
        scale = RANGE.match(beginning, found.end() - 1)
        if not scale:
            raise damaged("a PPM without a range")
        most = int(scale[1])
    samples = width * height * (3 if kind in (3, 6) else 1)
    is_raw = kind == 4 or most == 255 and kind not in PLAIN or kind == 5 and most == 65535
    if not is_raw and samples > MAX_PYTHON_SAMPLES:
        raise PhotoError(
            f"it is a PPM of {width} x {height} pixels as text or of {most + 1} steps; at most "
            f"{MAX_PYTHON_SAMPLES:,} samples are accepted of these; save it as PNG"
        )
    if kind in PLAIN:
        _check_text(data, samples)
    return PhotoHeader("PPM", width, height, len(data), passes=1.0 if is_raw else 100.0)


def _check_text(data: bytes, samples: int) -> None:
    """PhotoError for a plain PPM with far more text than samples."""
    if len(data) > MOST_TEXT * samples + MOST_HEADER or data.count(b"#") > MAX_COMMENTS:
        raise PhotoError("it is a plain PPM with far more text than samples")
