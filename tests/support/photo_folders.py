"""Folders of small photos, and what prepare made of them, for its tests."""

import csv
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from prepare.__main__ import main


def picture(seed: int, mode: str = "RGB", size: tuple[int, int] = (48, 36)) -> Image.Image:
    samples = np.random.default_rng(seed).integers(
        0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8
    )
    return Image.fromarray(samples).resize(size).convert(mode)


def save(path: Path, image: Image.Image, kind: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **options)
    return path


def photos(folder: Path, **classes: int) -> Path:
    for number, (name, count) in enumerate(sorted(classes.items())):
        for index in range(count):
            save(folder / name / f"{name} {index}.jpg", picture(1000 * number + index))
    return folder


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rows(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "manifest.csv").read_text().splitlines()))


def run(*arguments: object) -> int:
    return main([str(argument) for argument in (*arguments, "--workers", 2)])
