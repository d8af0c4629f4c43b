"""A photo's perceptual signature: small pictures of its brightness and its colour.

Near copies are found by it, and the report draws a class's mean photo from it. The photo is
squeezed to a square, so that copies in other sizes have the same signature.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURES_FILE = "signatures.npy"
SIDE = 48  # pixels of the brightness: a drawn figure's limbs are told apart, and 100,000 fit
CHROMA_SIDE = 16
# uint8; chroma: Cb and Cr, both 128 for grey
LAYOUT = np.dtype(
    [("grey", np.uint8, (SIDE, SIDE)), ("chroma", np.uint8, (2, CHROMA_SIDE, CHROMA_SIDE))]
)
Signature = bytes  # of LAYOUT
Signatures = NDArray[np.void]  # [n] of LAYOUT

REDUCING_GAP = 3.0  # large photos are first shrunk by whole numbers, to three times the side
EDGE_SIDE = 256  # pixels of the longer side at which edges are measured
SHARPEST = 99.5  # percentile of the edges that counts: most of a sharp photo may be plain


def signature(photo: Image.Image) -> Signature:
    """The signature of an RGB photo, as LAYOUT has it."""
    small = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)
    luma, *colours = small.convert("YCbCr").split()
    found = np.zeros((), LAYOUT)
    found["grey"] = np.asarray(luma)
    for index, colour in enumerate(colours):
        found["chroma"][index] = np.asarray(colour.resize((CHROMA_SIDE, CHROMA_SIDE)))
    return found.tobytes()


def sharpness(photo: Image.Image) -> float:
    """The steepest edges of an RGB photo: levels of 255 over two pixels, at EDGE_SIDE."""
    scale = EDGE_SIDE / max(photo.size)
    size = (max(3, round(photo.width * scale)), max(3, round(photo.height * scale)))
    small = photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)
    levels = np.asarray(small.convert("L"), np.float32)
    across = np.abs(levels[:, 2:] - levels[:, :-2])
    down = np.abs(levels[2:] - levels[:-2])
    return round(float(max(np.percentile(across, SHARPEST), np.percentile(down, SHARPEST))), 1)


def signatures_file(signatures: Iterable[Signature]) -> bytes:
    """The content of a .npy file of signatures, [n] of LAYOUT; it is in memory once."""
    rows = list(signatures)
    header = io.BytesIO()
    shape = {
        "descr": np.lib.format.dtype_to_descr(LAYOUT),
        "fortran_order": False,
        "shape": (len(rows),),
    }
    np.lib.format.write_array_header_1_0(header, shape)
    return b"".join([header.getvalue(), *rows])


def read_signatures(path: Path) -> Signatures:
    """What lies in such a file. OSError, or ValueError for another one."""
    found: Signatures = np.load(path)
    if found.dtype != LAYOUT or found.ndim != 1:
        raise ValueError(f"'{path}' holds no signatures")
    return found


def stack(signatures: Iterable[Signature]) -> Signatures:
    """The signatures in one array, [n] of LAYOUT."""
    return np.frombuffer(b"".join(signatures), LAYOUT)


def signature_fields(data: Signature) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Brightness [SIDE, SIDE] and chroma [2, CHROMA_SIDE, CHROMA_SIDE] of a signature."""
    fields = np.frombuffer(data, LAYOUT)[0]
    return fields["grey"], fields["chroma"]
