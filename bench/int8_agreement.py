"""python -m bench.int8_agreement --data FOLDER: how often int8 answers as f32 does, without labels.

For each seed the photos are split anew (0.7, 0.1, 0.2) and EfficientNet-Lite0 with ImageNet's
weights gets a head. Training calibrates, judges and keeps its int8 model as it always does. Then
both models answer drawn views of all photos: random crops, mirror images, other brightness. It
prints the agreement of each seed and the seconds per photo, and takes a few minutes on two cores.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from artifact.engines.choice import open_engine
from artifact.host.machine import processor_name
from artifact.model import Description, read_description
from artifact.photos.decoder import read_photo
from bench.quality import split
from bench.sections import OUT
from bench.training.jobs import make_job, run

HEAD: dict[str, object] = {
    "model": "timm/tf_efficientnet_lite0",
    "weights": "imagenet",
    "trainable": "head",
    "quantize": "true",
}
SEEDS = 3
PHOTOS = 2000
LEAST_SIDE = 0.75  # of a view, as a share of the photo's
BRIGHTNESS = (0.7, 1.3)

Pixels = NDArray[np.uint8]  # [S, S, 3]


@dataclass(frozen=True)
class Agreement:
    """share: of the photos that int8 answers as f32 does. milliseconds: per photo, by precision."""

    share: float
    milliseconds: dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-int8", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos, one folder per class")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--photos", type=int, default=PHOTOS, help="views that are answered")
    parser.add_argument("--out", type=Path, default=OUT / "bench-int8")
    options = parser.parse_args()
    found = agreements(options.data, options.out.absolute(), options.seeds, options.photos)
    if not found:
        return 1
    shares = [agreement.share for agreement in found]
    print(
        f"bench-int8: kept={len(found)}/{options.seeds} photos={options.photos} "
        f"int8_agreement={statistics.mean(shares):.4f} least={min(shares):.4f} "
        f"processor={processor_name()}"
    )
    return 0


def agreements(data: Path, out: Path, seeds: int, photos: int) -> list[Agreement]:
    """Of each seed whose training kept an int8 model."""
    found = []
    for seed in range(seeds):
        model = trained(data, out, seed)
        description = read_description(model)
        if not description.quantization["kept"]:
            print(f"bench-int8: seed {seed}: {description.quantization['reason']}", flush=True)
            continue
        agreement = agreed(model, description, data, photos, seed)
        found.append(agreement)
        words = " ".join(f"{name}_ms={value:.1f}" for name, value in agreement.milliseconds.items())
        print(f"bench-int8: seed={seed} int8_agreement={agreement.share:.4f} {words}", flush=True)
    return found


def trained(data: Path, out: Path, seed: int) -> Path:
    """The folder of a model whose head learned one split, with its int8 model if it was kept."""
    root = out / f"job-{seed}"
    if not (root / "model" / "model.json").is_file():
        make_job(root, split(data, out, seed), HEAD | {"seed": seed})
        run(f"python -m train, seed {seed}", "-m", "train", "--root", root)
    return root / "model"


def agreed(model: Path, description: Description, data: Path, count: int, seed: int) -> Agreement:
    """Both models on drawn views of the photos, one at a time, as an endpoint gets them."""
    answers: dict[str, list[int]] = {"f32": [], "int8": []}
    seconds = dict.fromkeys(answers, 0.0)
    engines = {name: open_engine(model, description, name) for name in answers}
    for pixels in views(data, description, count, seed):
        for name, engine in engines.items():
            started = time.perf_counter()
            probabilities = engine.run(pixels[None])[0, : len(description.classes)]
            seconds[name] += time.perf_counter() - started
            answers[name].append(int(probabilities.argmax()))
    for engine in engines.values():
        engine.close()
    share = float(np.mean(np.array(answers["f32"]) == np.array(answers["int8"])))
    return Agreement(share, {name: 1000 * taken / count for name, taken in seconds.items()})


def views(data: Path, description: Description, count: int, seed: int) -> Iterator[Pixels]:
    """Views of the photos by turns, until there are enough."""
    generator = np.random.default_rng(seed)
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    for number in range(count):
        photo = read_photo(paths[number % len(paths)])
        yield description.preprocessing.pixels(view(photo, generator))


def view(photo: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A random part of a photo, perhaps mirrored, darker or brighter."""
    share = generator.uniform(LEAST_SIDE, 1)
    width = int(share * photo.width)
    height = int(share * photo.height)
    left = int(generator.integers(0, photo.width - width + 1))
    top = int(generator.integers(0, photo.height - height + 1))
    part = photo.crop((left, top, left + width, top + height))
    if generator.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ImageEnhance.Brightness(part).enhance(generator.uniform(*BRIGHTNESS))


if __name__ == "__main__":
    sys.exit(main())
