"""Folders of small photos, and what prepare made of them, for its tests."""

import csv
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from artifact.pages.project_pages import SLOT
from prepare.__main__ import main

OF_THE_PROJECT = ("index.html", ".index.lock")
BLOCK = 4  # a random sample for each 4 x 4 pixels: smooth photos, as JPEG keeps them


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (48, 36)) -> Image.Image:
    # Noise for each pixel would not survive JPEG.
    """A photo of random colours, smooth. size: width and height in pixels."""
    width, height = size
    shape = (height // BLOCK, width // BLOCK, 3)
    samples = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(samples).resize(size).convert(mode)


def save(path: Path, image: Image.Image, kind: str | None = None, **options) -> Path:
    """Save the photo, making its folders. kind: a format, where the name does not say it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **options)
    return path


def photos(folder: Path, **classes: int) -> Path:
    """A folder of that many photos for each class, all different."""
    for number, (name, count) in enumerate(sorted(classes.items())):
        for index in range(count):
            save(folder / name / f"{name} {index}.jpg", picture(1000 * number + index))
    return folder


def tree(folder: Path) -> dict[str, str]:
    """The hash of each file by its path.

    Pages tell when they were made and what lies beside them: of these, all else counts.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(SLOT.sub(b"", path.read_bytes())).hexdigest()
        for path in files
        if path.name not in OF_THE_PROJECT
    }


def rows(folder: Path) -> list[dict[str, str]]:
    """The lines of manifest.csv."""
    return list(csv.DictReader((folder / "manifest.csv").read_text().splitlines()))


def run(*arguments: object) -> int:
    """`python -m prepare`, with two workers; its exit code."""
    return main([str(argument) for argument in (*arguments, "--workers", 2)])
