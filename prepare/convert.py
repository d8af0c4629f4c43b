"""One photo to a verified RGB JPEG: copied where it is one already, else written anew."""

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from artifact.preprocessing import PhotoError, decode

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
ORIENTATION_TAG = 0x0112
SAVED = {"format": "JPEG", "quality": 95, "subsampling": 0}


@dataclass(frozen=True)
class Photo:
    """What became of a source: pixels is the SHA-256 of its decoded pixels, sha256 and bytes are of the output file."""

    pixels: str
    format: str
    mode: str
    width: int
    height: int
    changes: tuple[str, ...]
    sha256: str
    bytes: int

    def as_dict(self) -> dict:
        return asdict(self) | {"changes": list(self.changes)}


def convert(source: Path, destination: Path) -> Photo | str:
    """Write the source's photo to destination; the reason, a sentence, where it is broken. OSError when it cannot be written."""
    try:
        data = source.read_bytes()
        photo = decode(data)
        with Image.open(io.BytesIO(data)) as image:
            kind, mode = image.format, image.mode
            changes = _changes(image, source)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    except PhotoError as error:
        return str(error)
    if changes:
        buffer = io.BytesIO()
        try:
            photo.save(buffer, **SAVED)
        except OSError:
            return (
                f"it has {photo.width} x {photo.height} pixels, and a JPEG at most 65,500 on a side"
            )
        data = buffer.getvalue()
    destination.write_bytes(data)
    pixels = hashlib.sha256(f"{photo.width}x{photo.height}".encode() + photo.tobytes()).hexdigest()
    return Photo(
        pixels,
        kind,
        mode,
        photo.width,
        photo.height,
        changes,
        hashlib.sha256(data).hexdigest(),
        len(data),
    )


def _changes(image: Image.Image, source: Path) -> tuple[str, ...]:
    """What has to be done to make the image an upright RGB JPEG; nothing for one that is."""
    changes = []
    if _orientation(image) not in (0, 1):
        changes.append("turned upright by its EXIF orientation")
    if image.has_transparency_data:
        changes.append("transparency laid on white")
    names = {
        "P": "palette",
        "PA": "palette",
        "L": "greyscale",
        "LA": "greyscale",
        "1": "black and white",
        "CMYK": "CMYK",
        "F": "float samples",
    }
    kind = names.get(image.mode) or (
        "16-bit greyscale" if image.mode.startswith("I") else image.mode
    )
    if image.mode not in ("RGB", "RGBA"):
        changes.append(f"{kind} to RGB")
    if getattr(image, "n_frames", 1) > 1:
        changes.append("first of several frames taken")
    if image.format != "JPEG":
        named_jpeg = source.suffix.lower() in JPEG_SUFFIXES
        changes.append(
            f"{image.format} named {source.suffix.lower()} to JPEG"
            if named_jpeg
            else f"{image.format} to JPEG"
        )
    elif source.suffix.lower() not in JPEG_SUFFIXES:
        changes.append(f"JPEG named {source.suffix.lower() or 'without extension'} renamed")
    return tuple(changes)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF data says nothing, and decode leaves such a photo as it is
        return 1
