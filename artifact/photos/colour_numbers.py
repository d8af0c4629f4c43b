"""Colours that a header names by numbers: PNG's cICP, gAMA and cHRM, HEIC's and AVIF's nclx.

They become an ICC profile, so that one way leads to sRGB. Light that is brighter than a white page
(PQ, HLG) becomes white. What the numbers leave open is sRGB's.
"""

import functools
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Chromaticities x and y of white, red, green and blue.
Chromaticities = tuple[float, ...]
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# By the numbers of ITU-T H.273, 8.1. Others are taken for sRGB's.
PRIMARIES = {
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display-P3
}
# H.273, 8.2: 2.2 and 2.8 are exponents. BT.709's own curve is shown as sRGB's, as browsers do.
EXPONENTS = {4: 2.2, 5: 2.8, 8: 1.0}
PQ, HLG = 16, 18
WHITE_NITS = 203  # of a white page, and those of HLG's brightest sample (BT.2408)
HLG_NITS = 1000
CURVE_SAMPLES = 1024
USUAL_GAMMA = (0.43, 0.48)  # of gAMA: 1/2.2, which stands for sRGB
GAMMAS = (0.1, 10.0)  # others are no photo's
PNG_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")  # a former one counts before a latter
CICP_OF_SRGB = b"\1\x0d\0\1"
COLOUR_BYTES = 32  # of such a chunk, at most
D50 = np.array([0.9642, 1.0, 0.8249])  # the white of profiles
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@dataclass(frozen=True)
class ColourNumbers:
    """The primaries; the number of the transfer function, or an exponent of light in its place."""

    primaries: Chromaticities = SRGB
    transfer: int = 0
    exponent: float = 0.0


def png_colour(chunks: Mapping[bytes, bytes]) -> ColourNumbers | None:
    """What a PNG's chunks say; None for sRGB, and where an ICC profile says it."""
    first = next((name for name in PNG_CHUNKS if name in chunks), b"")
    content = chunks.get(first, b"")
    if first == b"cICP" and len(content) == 4:
        if content == CICP_OF_SRGB and b"iCCP" in chunks:
            return ColourNumbers()  # in the place of the profile
        # samples of video (a matrix, or less than the full range) are not what PNG holds
        return _coded(content[0], content[1]) if content[2:] == b"\0\1" else None
    if first == b"gAMA" and len(content) == 4:
        return _with_gamma(int.from_bytes(content, "big") / 100_000, chunks.get(b"cHRM", b""))
    return None


def nclx_colour(boxes: Iterable[bytes]) -> ColourNumbers | None:
    """What the colr boxes of a HEIC or AVIF say; None for sRGB, or where one holds a profile."""
    numbers = None
    for content in boxes:
        if content[:4] in (b"prof", b"rICC"):
            return None
        if content[:4] == b"nclx" and len(content) >= 8:
            numbers = _coded(*struct.unpack_from(">HH", content, 4))
    return numbers


def _coded(primaries: int, transfer: int) -> ColourNumbers | None:
    known = transfer in EXPONENTS or transfer in (PQ, HLG)
    if primaries not in PRIMARIES and not known:
        return None
    chromaticities = PRIMARIES.get(primaries, SRGB)
    return ColourNumbers(chromaticities, transfer if known else 0, EXPONENTS.get(transfer, 0.0))


def _with_gamma(gamma: float, chromaticities: bytes) -> ColourNumbers | None:
    """gamma: the exponent of the encoding. chromaticities: of cHRM, or nothing."""
    if not GAMMAS[0] <= gamma <= GAMMAS[1]:
        return None
    primaries = SRGB
    if len(chromaticities) == 32:
        primaries = tuple(value / 100_000 for value in struct.unpack(">8I", chromaticities))
    if not _is_triangle(primaries):
        primaries = SRGB
    is_usual = USUAL_GAMMA[0] < gamma < USUAL_GAMMA[1]
    if is_usual and primaries == SRGB:
        return None
    return ColourNumbers(primaries, exponent=0.0 if is_usual else 1 / gamma)


def _is_triangle(primaries: Chromaticities) -> bool:
    """Whether three colours make others: each y above 0, and not on one line."""
    points = np.array(primaries).reshape(4, 2)
    if (points[:, 1] <= 0).any() or (points.sum(axis=1) > 1).any():
        return False
    red, green, blue = points[1:]
    (x, y), (u, v) = green - red, blue - red
    return bool(abs(x * v - y * u) > 1e-3)


@functools.lru_cache(16)
def profile_of(numbers: ColourNumbers, is_grey: bool) -> bytes:
    """An ICC profile (ICC.1:2001) of these colours: of a display, or of greyscale."""
    curve = _curve(numbers)
    if is_grey:
        return _profile(b"GRAY", {b"kTRC": curve})
    matrix = _to_d50(numbers.primaries)
    tags = {name: _xyz(matrix[:, index]) for index, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    return _profile(b"RGB ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def _to_d50(primaries: Chromaticities) -> Floats:
    """Linear samples to XYZ, with the white of profiles (Bradford's adaptation)."""
    points = np.array(primaries, float).reshape(4, 2)
    colours = np.stack([points[:, 0], points[:, 1], 1 - points.sum(axis=1)]) / points[:, 1]
    white = colours[:, 0]
    matrix = colours[:, 1:] * np.linalg.solve(colours[:, 1:], white)
    ratio = (BRADFORD @ D50) / (BRADFORD @ white)
    adapted: Floats = np.linalg.solve(BRADFORD, ratio[:, None] * (BRADFORD @ matrix))
    return adapted


def _curve(numbers: ColourNumbers) -> bytes:
    """A table of light by sample, from 0 to 1."""
    samples = np.linspace(0, 1, CURVE_SAMPLES)
    light = samples**numbers.exponent if numbers.exponent else _light(samples, numbers.transfer)
    table = (np.clip(light, 0, 1) * 65535).round().astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()


def _light(samples: Floats, transfer: int) -> Floats:
    """In parts of the light of a white page, which PQ and HLG exceed."""
    if transfer == PQ:  # SMPTE ST 2084
        power = samples ** (1 / 78.84375)
        base = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
        bright: Floats = 10_000 * base ** (1 / 0.1593017578125) / WHITE_NITS
        return bright
    if transfer == HLG:  # BT.2100, and its system gamma of 1.2
        bent = (np.exp((samples - 0.55991073) / 0.17883277) + 0.28466892) / 12
        scene = np.where(samples <= 0.5, samples**2 / 3, bent)
        return np.asarray(scene**1.2 * HLG_NITS / WHITE_NITS)
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def _profile(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    described = b"desc\0\0\0\0" + struct.pack(">I", 1) + bytes(79)
    tags = {b"desc": described, b"cprt": b"text\0\0\0\0\0", b"wtpt": _xyz(D50), **tags}
    start = 132 + 12 * len(tags)
    table = struct.pack(">I", len(tags))
    content = b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    size = start + len(content)
    header = struct.pack(">I4xI4s4s4s12x4s28x", size, 0x02400000, b"mntr", space, b"XYZ ", b"acsp")
    header += _fixed(D50)
    return header.ljust(128, b"\0") + table + content


def _xyz(values: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(values)


def _fixed(values: Floats) -> bytes:
    """Numbers of 16 bits and a fraction of 16."""
    return struct.pack(">3i", *(round(float(value) * 65536) for value in values))
