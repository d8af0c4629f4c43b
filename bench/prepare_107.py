"""python -m bench.prepare_107 MANIFEST FOLDER: how long prepare takes for thousands of photos.

MANIFEST is a TSV with the columns class, saved_as, original_name_if_known, original_mode. For each
row a photo of about 640 x 480 pixels is drawn into FOLDER/photos, in that mode and its original's
format; the drawing is not timed.
"""

import argparse
import csv
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from bench.sections import REPOSITORY

TRANSPARENT = "P+trns"  # a palette with a transparent colour
FORMATS = {
    ".png": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
JPEG_MODES = ("RGB", "L", "CMYK")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-prepare", description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    photos = options.folder / "photos"
    files = draw_all(options.manifest, photos)
    rows = ["| prepare | files | seconds |", "|---|---:|---:|"]
    for what in ("first run", "again, nothing changed"):
        started = time.monotonic()
        command = [sys.executable, "-m", "prepare", str(photos), str(options.folder / "prepared")]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        seconds = time.monotonic() - started
        rows.append(f"| {what} | {files} | {seconds:.1f} |")
        print(f"bench-prepare: files={files} seconds={seconds:.1f} ({what})", flush=True)
    print("\n".join(rows))
    return 0


def draw_all(manifest: Path, photos: Path) -> int:
    """Draw the photo of each row; the number of rows."""
    paths = []
    modes = []
    with manifest.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            name = row["original_name_if_known"] or row["saved_as"]
            paths.append(photos / row["class"] / name)
            modes.append(row["original_mode"])
    with ProcessPoolExecutor() as pool:
        list(pool.map(draw, paths, modes, range(len(paths)), chunksize=32))
    return len(paths)


def draw(path: Path, mode: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    width = int(random.integers(560, 720))
    height = int(random.integers(400, 560))
    rough = random.integers(0, 256, (height // 20, width // 20, 3), dtype=np.uint8)
    smooth = Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC)
    image = smooth.convert("P" if mode == TRANSPARENT else mode)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = FORMATS.get(path.suffix.lower(), "JPEG")
    if kind == "JPEG" and image.mode not in JPEG_MODES:
        kind = "PNG"  # such photos are PNGs under another name
    if mode == TRANSPARENT:
        image.save(path, kind, transparency=0)
    else:
        image.save(path, kind)


if __name__ == "__main__":
    sys.exit(main())
