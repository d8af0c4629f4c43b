"""python -m bench.list_photos: how long a job with very many photos takes to start, and its memory.

It makes empty photos (hard links to a few files, so that a million is quick) in classes of 1000,
and lists them in a process of its own, as a training job does. It knows nothing of pixels.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

from bench.sections import REPOSITORY

LINKS = 30_000  # names for one file; ext4 allows 65,000
PER_CLASS = 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-list-photos", description=__doc__)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to make them; default: a temporary folder"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        started = time.monotonic()
        synthesise(Path(folder), options.photos)
        seconds = time.monotonic() - started
        photos = f"{options.photos:,} empty photos"
        print(f"made {photos} in {seconds:.1f} s in {folder}", flush=True)
        figures = measure(Path(folder))
    bytes_per_photo = figures["held_mb"] * 2**20 / options.photos
    rows = [
        "| step | seconds since the start | MB more than before |",
        "|---|---:|---:|",
        f"| listed and split | {figures['seconds']:.1f} | {figures['listed_mb']:.0f} |",
        f"| with labels, class weights and the store's key | {figures['all_seconds']:.1f} "
        f"| {figures['held_mb']:.0f} ({bytes_per_photo:.0f} bytes per photo) |",
        f"| at the peak | | {figures['peak_mb']:.0f} |",
    ]
    print("\n".join(rows))
    return 0


def synthesise(folder: Path, count: int) -> None:
    """Make empty photos in classes of PER_CLASS, with names like those of ImageNet."""
    original = folder
    for number in range(count):
        start = number // PER_CLASS * PER_CLASS
        index = number - start
        inside = folder / f"n{start:08}"
        if index == 0:
            inside.mkdir(parents=True)
        path = inside / f"n{start:08}_{index}.JPEG"
        if number % LINKS == 0:
            original = path
            original.touch()
        else:
            os.link(original, path)


def measure(folder: Path) -> dict[str, float]:
    """Seconds and memory of a fresh process that lists the photos.

    seconds, listed_mb: after listing. all_seconds, held_mb, peak_mb: with labels, weights and key.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.listing_job", str(folder)],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    return cast(dict[str, float], json.loads(done.stdout))


if __name__ == "__main__":
    sys.exit(main())
