"""The formats that are opened, by everything that decodes a photo, and how such files begin.

Pillow knows 40 formats. Some of them start other programs (PostScript) or are written in Python
and take minutes (FITS, GRIB): a photo is opened as what its first bytes say, and only if it is one
of these.
"""

import ctypes
import importlib.util
import logging
import re
import warnings

# Pillow's names. A JPEG with several pictures opens as MPO.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
KNOWN = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
_BEGINNINGS = (
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("WEBP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("BMP", re.compile(rb"BM")),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]")),
)
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class PhotoError(ValueError):
    """A photo that cannot be decoded; its text is one sentence for a user."""


def damaged(reason: str) -> PhotoError:
    """The error of a photo that is not whole."""
    return PhotoError(f"it is not a complete photo that Pillow can read ({reason})")


def format_of(data: bytes) -> str:
    """The name in FORMATS of a photo, by its first bytes. Raises PhotoError for other files."""
    if not data:
        raise PhotoError("it is empty (0 bytes)")
    if data.startswith(LFS_POINTER):
        raise PhotoError(
            "it is a Git LFS pointer, not the photo that it stands for; `git lfs pull` fetches that"
        )
    for name, beginning in _BEGINNINGS:
        if beginning.match(data):
            return name
    raise PhotoError(f"it is not a complete photo of {KNOWN} (unknown format); save it as JPEG")


def silence_decoders() -> None:
    """Keep what decoders say of damaged photos out of the log: it would be lines without a form.

    What matters of it is in the PhotoError. libtiff writes to stderr by itself, and it carries the
    words of the libjpeg within it.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # Its functions are found by way of Pillow's own library, which was linked with it.
    found = importlib.util.find_spec("PIL._imaging")
    if found is None or not found.origin:
        return
    library = ctypes.CDLL(found.origin)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        set_handler = getattr(library, name, None)
        if set_handler:  # a Pillow without libtiff has none
            set_handler.restype = ctypes.c_void_p
            set_handler(None)
