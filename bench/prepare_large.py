"""python -m bench.prepare_large: prepare of JPEGs of 12 megapixels, before and after, in one run.

A third of the photos are turned by their EXIF orientation. Before is another checkout, such as a
git worktree of an earlier version. Both prepare the same photos in turn, with one worker, and the
processor time of their processes is compared.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench.sections import REPOSITORY

SIZE = (4000, 3000)
ROUGH = (60, 80)  # random samples, between which the photo is smooth
NOISE = 4  # levels of 255, as a camera's
ORIENTATION_TAG = 0x0112
QUARTER_TURN = 6
TURNED = 3  # each third photo


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-prepare-large", description=__doc__)
    parser.add_argument("before", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--progressive", action="store_true", help="progressive JPEGs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        drawing = partial(draw, photos, options.progressive)
        with ProcessPoolExecutor() as pool:
            list(pool.map(drawing, range(options.photos)))
        taken: dict[Path, list[float]] = {options.before: [], REPOSITORY: []}
        for number in range(options.rounds):
            for checkout, seconds in taken.items():
                seconds.append(_prepare(checkout, photos, f"{folder}/{checkout.name}-{number}"))
    before = statistics.median(taken[options.before])
    after = statistics.median(taken[REPOSITORY])
    kind = "progressive" if options.progressive else "baseline"
    print(
        f"{options.photos} {kind} JPEGs: before={before:.1f} s after={after:.1f} s "
        f"ratio={after / before:.2f}"
    )


def draw(folder: Path, progressive: bool, number: int) -> None:
    """Make one photo."""
    random = np.random.default_rng(number)
    rough = random.integers(0, 256, (*ROUGH, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(rough).resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    noise = random.standard_normal((SIZE[1], SIZE[0], 1), np.float32) * NOISE
    exif = Image.Exif()
    if number % TURNED == 0:
        exif[ORIENTATION_TAG] = QUARTER_TURN
    place = folder / "ab"[number % 2]
    place.mkdir(parents=True, exist_ok=True)
    photo = Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))
    photo.save(place / f"{number}.jpg", quality=90, exif=exif, progressive=progressive)


def _prepare(checkout: Path, photos: Path, out: str) -> float:
    """Seconds of processor of a preparation with all its processes."""
    before = _seconds()
    subprocess.run(
        [sys.executable, "-m", "prepare", str(photos), out, "--workers", "1"],
        cwd=checkout,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return _seconds() - before


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
