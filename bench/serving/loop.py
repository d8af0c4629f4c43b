"""python loop.py PRECISION SECONDS, inside slipway-serve: decode and run the photos in /photos, one after the other, no server.

Prints one line of JSON: {"rate": photos/s, "labels": {photo: top label}}.
"""

import json
import sys
import time
from pathlib import Path

from artifact.engines import open_engine
from artifact.model import read_description
from artifact.preprocessing import decode

MODEL = Path("/opt/ml/model")


def main(precision: str, seconds: float) -> None:
    description = read_description(MODEL)
    engine = open_engine(MODEL, description, precision)
    photos = {
        str(path.relative_to("/photos")): path.read_bytes()
        for path in sorted(Path("/photos").rglob("*.jpg"))
    }
    labels = {
        name: description.classes[answer(description, engine, photo)]
        for name, photo in photos.items()
    }  # this warms up, too
    count, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        answer(description, engine, list(photos.values())[count % len(photos)])
        count += 1
    print(json.dumps({"rate": count / spent, "labels": labels}))


def answer(description, engine, photo: bytes) -> int:
    return int(engine.run(description.preprocessing.pixels(decode(photo))[None])[0].argmax())


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
