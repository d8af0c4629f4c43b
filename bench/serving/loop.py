"""python loop.py PRECISION SECONDS [THREADS], inside slipway-serve: our engine without a server.

It decodes and runs the photos in /photos one after the other. The last line is JSON:
{"rate": photos/s, "p50_ms": of one photo, "labels": {photo: top label}}.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.engines.choice import open_engine
from artifact.model import read_description
from artifact.photos.decoder import decode

MODEL = Path("/opt/ml/model")
PHOTOS = Path("/photos")


def main(precision: str, seconds: float, threads: int | None = None) -> None:
    description = read_description(MODEL)
    classes = len(description.classes)
    engine = open_engine(MODEL, description, precision, threads)

    def answer(photo: bytes) -> int:
        pixels: NDArray[np.uint8] = description.preprocessing.pixels(decode(photo))
        return int(engine.run(pixels[None])[0, :classes].argmax())

    photos = {}
    labels = {}
    for path in sorted(PHOTOS.rglob("*.jpg")):
        name = str(path.relative_to(PHOTOS))
        photos[name] = path.read_bytes()
        labels[name] = description.classes[answer(photos[name])]  # this warms up, too
    bodies = list(photos.values())
    taken: list[float] = []  # seconds of each photo
    started = time.perf_counter()
    now = started
    while now < started + seconds:
        before = now
        answer(bodies[len(taken) % len(bodies)])
        now = time.perf_counter()
        taken.append(now - before)
    rate = len(taken) / (now - started) if taken else 0.0
    p50_ms = 1000 * statistics.median(taken) if taken else 0.0
    print(json.dumps({"rate": rate, "p50_ms": p50_ms, "labels": labels}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *(int(count) for count in sys.argv[3:]))
