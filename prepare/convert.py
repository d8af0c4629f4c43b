"""One photo to a verified RGB JPEG: copied where it is one already, else written anew.

Either way it says nothing of where, when and by whom it was taken. A copy keeps its orientation in
its EXIF tag, which the one decoder reads.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

from PIL import Image

from artifact.photos.decoder import decode_reduced, open_photo, orientation
from artifact.photos.files import read_patiently
from artifact.photos.jpeg_writing import encode_jpeg
from artifact.photos.kinds import PhotoError
from artifact.photos.metadata import without_metadata
from artifact.photos.shrinking import JPEGS, Reduced
from prepare.signature import Signature, sharpness, signature

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
# Of a copied JPEG as much is decoded as its signature and its hash need. All of its data is read.
SEEN_SIDE = 256  # pixels of the shorter side
UPRIGHT = (0, 1)  # EXIF orientations; 0 is outside the standard, but cameras write it
# Pillow's modes, in a user's words
MODE_WORDS = {
    "P": "palette",
    "PA": "palette",
    "L": "greyscale",
    "LA": "greyscale",
    "1": "black and white",
    "CMYK": "CMYK",
    "F": "float samples",
}


class PhotoDict(TypedDict):
    """A Photo as JSON."""

    pixels: str
    format: str
    mode: str
    width: int
    height: int
    changes: list[str]
    sha256: str
    bytes: int
    sharpness: NotRequired[float]


@dataclass(frozen=True)
class Photo:
    """What became of a source.

    pixels: SHA-256 of its decoded pixels, of a large JPEG in less than its size. width, height: of
    the upright photo. sha256 and bytes: of the output file. sharpness and signature: as
    prepare/signature.py has them.
    """

    pixels: str
    format: str
    mode: str
    width: int
    height: int
    changes: tuple[str, ...]
    sha256: str
    bytes: int
    sharpness: float = 0.0
    signature: Signature = field(default=b"", repr=False)

    def as_dict(self) -> PhotoDict:
        """The photo as JSON takes it; signatures have a file of their own."""
        fields = asdict(self)
        del fields["signature"]
        values: PhotoDict = fields  # type: ignore[assignment]  # asdict gives a plain dict
        values["changes"] = list(self.changes)
        return values

    @classmethod
    def from_dict(cls, values: PhotoDict, signature: Signature = b"") -> "Photo":
        """The photo that as_dict wrote, with its signature."""
        fields = {**values, "changes": tuple(values["changes"]), "signature": signature}
        return cls(**fields)  # type: ignore[arg-type]  # a dict's values have one type for mypy


def convert(source: Path, destination: Path) -> Photo | str:
    """Write the source's photo to destination; the reason, a sentence, where it is broken.

    OSError when the source cannot be read, or the photo not written: neither says that the photo is
    broken, and a later run may find it whole.
    """
    try:
        data = read_patiently(source)
        with open_photo(data) as image:
            kind = str(image.format)
            mode = image.mode
            is_copied = kind in JPEGS and mode == "RGB"
            changes = _changes(image, is_copied, source.suffix.lower())
        whole = decode_reduced(data, SEEN_SIDE if is_copied else 0)
    except PhotoError as error:
        return str(error)
    photo = whole.image
    if is_copied:
        data = without_metadata(data) or data
    else:
        try:
            data = encode_jpeg(photo)
        except OSError:
            return (
                f"it has {photo.width} x {photo.height} pixels, and a JPEG at most 65,500 on a side"
            )
    destination.write_bytes(data)
    return Photo(
        pixels=_pixel_hash(whole),
        format=kind,
        mode=mode,
        width=whole.size[0],
        height=whole.size[1],
        changes=changes,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        sharpness=sharpness(photo),
        signature=signature(photo),
    )


def _pixel_hash(photo: Reduced) -> str:
    # the size belongs to it: 2 x 3 and 3 x 2 pixels can have the same bytes
    width, height = photo.size
    return hashlib.sha256(f"{width}x{height}".encode() + photo.image.tobytes()).hexdigest()


def _changes(image: Image.Image, is_copied: bool, suffix: str) -> tuple[str, ...]:
    """What makes the image an RGB JPEG. is_copied: its file is one, and keeps its orientation."""
    changes = []
    if not is_copied and orientation(image) not in UPRIGHT:
        changes.append("turned upright by its EXIF orientation")
    if image.has_transparency_data:
        changes.append("transparency laid on white")
    if image.mode not in ("RGB", "RGBA"):
        changes.append(f"{_mode_words(image.mode)} to RGB")
    # not n_frames: to count the pictures, Pillow goes through them all
    if getattr(image, "is_animated", False):
        changes.append("first of several frames taken")
    changes += _format_changes(str(image.format), suffix)
    return tuple(changes)


def _mode_words(mode: str) -> str:
    if mode.startswith("I"):  # I, I;16, I;16B: Pillow reads 16-bit files as these
        return "16-bit greyscale"
    return MODE_WORDS.get(mode, mode)


def _format_changes(kind: str, suffix: str) -> list[str]:
    named_jpeg = suffix in JPEG_SUFFIXES
    if kind == "JPEG":
        if named_jpeg:
            return []
        return [f"JPEG named {suffix or 'without extension'} renamed"]
    if named_jpeg:
        return [f"{kind} named {suffix} to JPEG"]
    return [f"{kind} to JPEG"]
