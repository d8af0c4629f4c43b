"""What a file is, by its first bytes: a photo of a kind that is read, or what else it is.

Names, media types and suffixes of photos stand here alone. Standard library only: the function of
`launch api` has nothing else.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from artifact.photos.foreign_files import plain_text, what_else_it_is


class PhotoError(ValueError):
    """A photo that cannot be decoded; its text is one sentence for a user."""


@dataclass(frozen=True)
class PhotoKind:
    """A format of photos.

    name: Pillow's, for the format. title: for people. media_types: the registered one first, then
    others that clients send. suffixes: of files, in lower case. beginning: of their bytes; None for
    the kinds of ISO base media files, whose brands decide.
    """

    name: str
    title: str
    media_types: tuple[str, ...]
    suffixes: tuple[str, ...]
    beginning: re.Pattern[bytes] | None


# A JPEG with several pictures is an MPO: Pillow finds that out when it opens it.
KINDS = (
    PhotoKind(
        "JPEG",
        "JPEG",
        ("image/jpeg", "image/jpg", "image/pjpeg", "image/mpo"),
        (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        re.compile(rb"\xff\xd8\xff(?!\xf7)"),  # that one is a JPEG-LS
    ),
    PhotoKind(
        "PNG",
        "PNG",
        ("image/png", "image/x-png", "image/apng"),
        (".png", ".apng"),
        re.compile(rb"\x89PNG\r\n\x1a\n"),
    ),
    PhotoKind("WEBP", "WebP", ("image/webp",), (".webp",), re.compile(rb"RIFF....WEBP", re.DOTALL)),
    PhotoKind("GIF", "GIF", ("image/gif",), (".gif",), re.compile(rb"GIF8[79]a")),
    PhotoKind(
        "BMP",
        "BMP",
        ("image/bmp", "image/x-ms-bmp", "image/x-bmp"),
        (".bmp", ".dib"),
        re.compile(rb"BM"),
    ),
    PhotoKind(
        "TIFF",
        "TIFF",
        ("image/tiff", "image/tif"),
        (".tif", ".tiff"),
        re.compile(rb"II[*+]\0|MM\0[*+]"),
    ),
    PhotoKind(
        "HEIF",
        "HEIC",
        ("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"),
        (".heic", ".heif", ".hif", ".heics", ".heifs"),
        None,
    ),
    PhotoKind("AVIF", "AVIF", ("image/avif",), (".avif", ".avifs"), None),
    PhotoKind(
        "JPEG2000",
        "JPEG 2000",
        ("image/jp2", "image/jpx", "image/jpm", "image/j2k", "image/jpeg2000"),
        (".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
        re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ),
    PhotoKind(
        "PPM",
        "PPM",
        (
            "image/x-portable-pixmap",
            "image/x-portable-graymap",
            "image/x-portable-bitmap",
            "image/x-portable-anymap",
        ),
        (".ppm", ".pgm", ".pbm", ".pnm"),
        re.compile(rb"P[1-6][\s#]"),
    ),
)
MEDIA_TYPE_OF: dict[str, str] = {}  # by suffix
for _kind in KINDS:
    MEDIA_TYPE_OF |= dict.fromkeys(_kind.suffixes, _kind.media_types[0])
SUFFIXES = frozenset(MEDIA_TYPE_OF)
TITLES = [kind.title for kind in KINDS]
KNOWN = f"{', '.join(TITLES[:-1])} or {TITLES[-1]}"
_KIND_OF_NAME = {kind.name: kind for kind in KINDS}
HEIF = _KIND_OF_NAME["HEIF"]
AVIF = _KIND_OF_NAME["AVIF"]
BEGINNING_BYTES = 4096  # of a file, enough to say what it is
# Of ISO base media files (ISO/IEC 23008-12, AV1 Image File Format). mif1 and msf1 may hold either.
AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
ANY_BRANDS = {b"mif1", b"msf1"}
# Bare, in quotes, or as a data URL, whose name may have more parameters.
BASE64 = re.compile(
    rb"\s*(?:b?[\"'])?(?:data:[^,\"']{0,120};base64,\s*)?([A-Za-z0-9+/_-][A-Za-z0-9+/_\s-]{30,})",
    re.IGNORECASE,
)
ENCODED_BYTES = 800  # of a text, enough to see which photo it stands for


def kind_of(data: bytes) -> PhotoKind:
    """The kind of a photo, by its first bytes. PhotoError says what another file is."""
    found = known_kind(data)
    if found is not None:
        return found
    if not data:
        raise PhotoError("it is empty (0 bytes)")
    encoded = _in_base64(data)
    if encoded is not None:
        raise PhotoError(
            f"it is base64 text of a {encoded.title} photo; decode it, or send it as "
            'application/json: {"instances": [{"b64": "…"}]}'
        )
    sentence = what_else_it_is(data[:BEGINNING_BYTES])
    if sentence:
        raise PhotoError(sentence)
    raise PhotoError(f"it is not a complete photo of {KNOWN} (unknown format); save it as JPEG")


def known_kind(data: bytes) -> PhotoKind | None:
    """The kind of a photo; None for all other files."""
    if data[4:8] == b"ftyp":
        return _by_brands(data)
    for kind in KINDS:
        if kind.beginning is not None and kind.beginning.match(data):
            return kind
    return None


def _by_brands(data: bytes) -> PhotoKind | None:
    """HEIC or AVIF, by the brands of an ISO base media file."""
    size = int.from_bytes(data[:4], "big")
    box = data[8 : max(12, min(size, BEGINNING_BYTES))]
    major = box[:4]
    brands = {major, *(box[at : at + 4] for at in range(8, len(box) - 3, 4))}
    if major in AVIF_BRANDS:
        return AVIF
    if major in HEIC_BRANDS:
        return HEIF
    if not brands & ANY_BRANDS:
        return None
    return AVIF if brands & AVIF_BRANDS else HEIF


def _in_base64(data: bytes) -> PhotoKind | None:
    """The kind of the photo that a text stands for."""
    start = plain_text(data[:ENCODED_BYTES])
    text = BASE64.match(unquote_to_bytes(start))  # a form or an address writes + as %2B
    if not text:
        return None
    letters = b"".join(text[1].split()).replace(b"-", b"+").replace(b"_", b"/")
    try:
        return known_kind(base64.b64decode(letters[: len(letters) // 4 * 4], validate=True))
    except binascii.Error:
        return None


def is_photo_name(name: str) -> bool:
    """Whether a file's name has a photo's suffix. Hidden files have none."""
    # os.path.splitext is slower, for a million names
    return name[name.rfind(".") :].lower() in SUFFIXES and not name.startswith(".")
