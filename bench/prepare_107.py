"""python bench/prepare_107.py MANIFEST FOLDER: how long prepare takes for a set of thousands of photos of every mode.

MANIFEST is a TSV with the columns class, saved_as, original_name_if_known, original_mode. For each row a photo of about
640 x 480 pixels is drawn into FOLDER/photos, in that mode and its original's format; the drawing is not timed.
"""

import csv
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parent.parent
MODES = {"P+trns": "P"}
FORMATS = {
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}


def draw(path: Path, mode: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    width, height = random.integers(560, 720), random.integers(400, 560)
    rough = Image.fromarray(random.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8))
    image = rough.resize((width, height), Image.Resampling.BICUBIC).convert(MODES.get(mode, mode))
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"transparency": 0} if mode == "P+trns" else {}
    kind = FORMATS.get(path.suffix.lower(), "JPEG")
    if kind == "JPEG" and image.mode not in ("RGB", "L", "CMYK"):
        kind = "PNG"  # such photos are PNGs under another name
    image.save(path, kind, **options)


def main() -> None:
    manifest, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    paths = [
        folder / "photos" / row["class"] / (row["original_name_if_known"] or row["saved_as"])
        for row in rows
    ]
    with ProcessPoolExecutor() as pool:
        list(
            pool.map(
                draw, paths, [row["original_mode"] for row in rows], range(len(rows)), chunksize=32
            )
        )
    for what in ("first run", "again, nothing changed"):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "prepare", str(folder / "photos"), str(folder / "prepared")],
            cwd=REPOSITORY,
            check=True,
        )
        print(
            f"bench-prepare: files={len(rows)} seconds={time.monotonic() - started:.1f} ({what})",
            flush=True,
        )


if __name__ == "__main__":
    main()
