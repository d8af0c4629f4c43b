"""How often `launch drift` finds what has moved, and how often it cries for nothing.

    python -m bench.drift PHOTOS MODEL [--draws 40] [--photos 200]

PHOTOS: a folder per class of photos that the training has not seen, such as `python -m
local_test.stick_figures out/drawn --photos-per-class 200 --seed 2` draws. MODEL: a trained
artifact's folder. Of the photos, draws with replacement are compared with the artifact's reference:
as they are, at 0.6 of their brightness, blurred by 2 pixels, and with one class three times as
often. Every photo is sent as JPEG through the artifact's own preprocessing and its quickest engine.
Ends with a table; 1 where a bar is missed.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from artifact.drift_reference import Reference, read_reference
from artifact.engines.choice import open_engine
from artifact.engines.head_inputs import HeadInputs
from artifact.model import Description, read_description
from artifact.photos.decoder import decode, decode_reduced
from artifact.photos.jpeg_writing import encode_jpeg
from artifact.photos.kinds import PhotoError, is_photo_name
from artifact.photos.measures import photo_measures
from launch.drift_findings import Seen, findings

FOUND = 0.95  # of the draws of each change
FALSE = 0.05  # of the draws as they are, at most
DARK = 0.6
BLUR = 2  # pixels, the deviation of the Gaussian
TRIPLED = 3

PLAIN = "as they are"
MIXED = "one class tripled"
Change = Callable[[Image.Image], Image.Image]
CHANGES: dict[str, Change] = {
    PLAIN: lambda photo: photo,
    f"brightness x {DARK}": lambda photo: photo.point(lambda value: value * DARK),
    f"blur of {BLUR} pixels": lambda photo: photo.filter(ImageFilter.GaussianBlur(BLUR)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="PHOTOS")
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--photos", type=int, default=200, help="of a draw")
    options = parser.parse_args()
    description = read_description(options.model)
    reference = read_reference(options.model, description)
    photos, labels = read(options.folder)
    print(f"photos={len(photos)} reference={len(reference.measures)}", flush=True)
    even = np.full(len(photos), 1 / len(photos))
    often = np.where(labels == 0, TRIPLED, 1.0)
    rows: list[tuple[str, float, str]] = []
    for name, change in CHANGES.items():
        seen = all_seen(photos, change, options.model, description, reference)
        rows.append(measured(name, seen, even, reference, description, options))
        if name == PLAIN:
            weights = often / often.sum()
            found = measured(MIXED, seen, weights, reference, description, options)
            rows.append(found)
    return table(rows)


def read(folder: Path) -> tuple[list[bytes], NDArray[np.int64]]:
    """All photos that can be decoded, and the number of each one's class, int64 [N]."""
    photos = []
    labels = []
    for number, group in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in sorted(group.iterdir()):
            if not is_photo_name(path.name):
                continue
            try:
                decode(path.read_bytes())
            except PhotoError:
                continue
            photos.append(path.read_bytes())
            labels.append(number)
    return photos, np.array(labels)


def all_seen(
    photos: list[bytes],
    change: Change,
    model: Path,
    description: Description,
    reference: Reference,
) -> Seen:
    """All photos after a change, as an endpoint gets and answers them."""
    sizing = description.preprocessing
    head = HeadInputs(model)
    engine = open_engine(model, description)
    parts = []
    for photo in photos:
        sent = encode_jpeg(change(decode(photo)))
        pixels = sizing.pixels(decode_reduced(sent, sizing.resize))[None]
        answer = engine.run(pixels)[0, : len(description.classes)]
        along = reference.along(head.run(pixels))[0]
        parts.append((photo_measures(pixels)[0], along, answer.argmax(), answer.max()))
    engine.close()
    measures, features, answers, probabilities = (
        np.stack(part) for part in zip(*parts, strict=True)
    )
    return Seen(measures, features, answers.astype(np.int64), probabilities)


def measured(
    name: str,
    seen: Seen,
    weights: NDArray[np.float64],
    reference: Reference,
    description: Description,
    options: argparse.Namespace,
) -> tuple[str, float, str]:
    """The share of draws in which something has moved, and what it was how often."""
    generator = np.random.default_rng(7)
    found = 0
    counts: dict[str, int] = {}
    for _ in range(options.draws):
        drawn = generator.choice(len(weights), options.photos, p=weights)
        part = Seen(*(getattr(seen, field)[drawn] for field in Seen.__dataclass_fields__))
        moved = [one.name for one in findings(reference, part, description.classes) if one.moved]
        found += bool(moved)
        for each in moved:
            counts[each] = counts.get(each, 0) + 1
    words = ", ".join(f"{each} {count}" for each, count in counts.items())
    print(f"{name}: {found} of {options.draws}: {words}", flush=True)
    return name, found / options.draws, words


def table(rows: list[tuple[str, float, str]]) -> int:
    """Print the table; 1 where a bar is missed."""
    missed = False
    print(f"\n{'change':20} found   bar      what moved, in how many draws")
    for place, (name, share, words) in enumerate(rows):
        bar = f"<= {FALSE:.0%}" if place == 0 else f">= {FOUND:.0%}"
        missed |= share > FALSE if place == 0 else share < FOUND
        print(f"{name:20} {share:5.1%}  {bar:7}  {words or '-'}")
    print(f"\ndrift: {'a bar is missed' if missed else 'all bars are met'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
