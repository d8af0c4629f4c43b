"""What a photo costs one core: its decoding, and the network's run. `launch size` reckons with it.

`python -m artifact.engines.speed FOLDER [--photos FOLDER]` measures an artifact on this machine,
and prints the figures as JSON.
"""

import argparse
import io
import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from artifact.engines.choice import open_engine
from artifact.host.machine import cpu_count
from artifact.model import ArtifactError, read_description
from artifact.photos.decoder import decode_reduced
from artifact.photos.files import read_regular
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing

SPEED_FIELD = "speed"  # of model.json's provenance
DECODED = 8  # photos
RUNS = 5
SIDE = (500, 375)  # pixels of the photo that stands for those that are not given: ImageNet's median


def decode_ms(preprocessing: Preprocessing, photos: Sequence[bytes]) -> float:
    """Milliseconds of one core from a photo's bytes to its pixels, the median. PhotoError."""
    found = []
    for data in photos:
        started = time.thread_time()
        preprocessing.pixels(decode_reduced(data, preprocessing.resize))
        found.append(1000 * (time.thread_time() - started))
    return statistics.median(found)


def speed(
    preprocessing: Preprocessing, photos: Sequence[bytes], engine_ms: float, precision: str
) -> dict[str, Any]:
    """The figures as model.json and `launch size` have them. engine_ms: of one core, per photo."""
    return {
        "decode_ms": round(decode_ms(preprocessing, photos[:DECODED]), 3),
        "engine_ms": round(engine_ms, 3),
        "precision": precision,
        "processor": processor(),
    }


def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, as Linux has it; that of its architecture elsewhere."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def measure(folder: Path, photos: Sequence[bytes]) -> dict[str, Any]:
    """An artifact's figures on this machine. ArtifactError, PhotoError."""
    description = read_description(folder)
    engine = open_engine(folder, description, threads=cpu_count())
    try:
        sizing = description.preprocessing
        pixels = sizing.pixels(decode_reduced(photos[0], sizing.resize))[None]
        engine.run(pixels)  # the first run allocates
        found = []
        for _ in range(RUNS):
            started = time.process_time()
            engine.run(pixels)
            found.append(1000 * (time.process_time() - started))
        return speed(description.preprocessing, photos, statistics.median(found), engine.precision)
    finally:
        engine.close()


def stand_in() -> bytes:
    """A JPEG of noise, for want of photos."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE[1] // 5, SIDE[0] // 5, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(SIDE).save(file, "JPEG", quality=90)
    return file.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(prog="artifact.engines.speed", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="a trained model's folder, which holds model.json"
    )
    parser.add_argument("--photos", type=Path, help="a folder of photos like those to come")
    options = parser.parse_args(arguments)
    try:
        photos = [stand_in()]
        if options.photos:
            photos = _photos_in(options.photos)
        print(json.dumps(measure(options.folder, photos)))
    except (ArtifactError, PhotoError, OSError) as error:
        print(f"speed: failed: {error}", file=sys.stderr)
        return 1
    return 0


def _photos_in(folder: Path) -> list[bytes]:
    """The bytes of some photos in a folder and below it. OSError without any, PhotoError."""
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    if not names:
        raise FileNotFoundError(f"'{folder}' holds no photos")
    step = -(-len(names) // DECODED)
    return [read_regular(path) for path in names[::step]]


if __name__ == "__main__":
    sys.exit(main())
