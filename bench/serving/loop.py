"""python loop.py PRECISION SECONDS, inside slipway-serve: our engine in a loop, without a server.

It decodes and runs the photos in /photos one after the other. The last line is JSON:
{"rate": photos/s, "labels": {photo: top label}}.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.engines import open_engine
from artifact.model import read_description
from artifact.preprocessing import decode

MODEL = Path("/opt/ml/model")
PHOTOS = Path("/photos")


def main(precision: str, seconds: float) -> None:
    description = read_description(MODEL)
    classes = len(description.classes)
    engine = open_engine(MODEL, description, precision)

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
    count = 0
    spent = 0.0
    started = time.perf_counter()
    while spent < seconds:
        answer(bodies[count % len(bodies)])
        count += 1
        spent = time.perf_counter() - started
    rate = count / spent if count else 0.0
    print(json.dumps({"rate": rate, "labels": labels}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
