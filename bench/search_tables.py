"""python -m bench.search_tables --data FOLDER: real response tables for bench/search.py, made once.

A table has 48 configurations of one kind of training, and the validation accuracy of each after
each of 9 epochs. Heads learn on kept features of EfficientNet-Lite0 with ImageNet's weights, from
subsets of a folder of photos. Small convolutional networks learn stick figures from scratch. Each
table has classes, photos and first weights of its own. The column `own` marks the configuration
nearest to the values that a recipe of ours would begin with.
"""

import argparse
import csv
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from bench.searching.features import lite0_features
from bench.searching.tables import FOLDER, OWN
from bench.searching.trainings import Photos, Settings, learn
from local_test.figure import LIMBS, POSES, START, skeleton

EPOCHS = 9
PIXELS = 24
FIGURE_BATCH = 16.0
RATES = 12  # learning rates of a table
FIGURE_SETS = 4
# Of stick figures, per class
FIGURES = {"train": 30, "validation": 60}

STROKES = [("pelvis", "shoulder"), ("shoulder", "head")]
for edge, limb in LIMBS:
    STROKES.append((START[limb], f"{edge}_{limb}_middle"))
    STROKES.append((f"{edge}_{limb}_middle", f"{edge}_{limb}_end"))

Values = dict[str, list[float]]  # what each dimension can be


@dataclass(frozen=True)
class Kind:
    """A kind of training. lr: the ends of its learning rates; others: its further dimensions.

    own: the values that a recipe begins with. hidden: width of a head's hidden layer, 0 for none.
    """

    name: str
    optimizer: str
    schedule: str
    lr: tuple[float, float]
    others: Values
    own: dict[str, float]
    hidden: int = 0

    def dimensions(self) -> Values:
        rates = np.geomspace(*self.lr, RATES)
        return {"lr": [float(f"{rate:.4g}") for rate in rates], **self.others}


SGD = {"lr": 0.01, "weight_decay": 0.0, "batch_size": 32.0, "momentum": 0.9}
ADAMW = {"lr": 0.001, "weight_decay": 0.05, "batch_size": 32.0, "label_smoothing": 0.1}
HEADS = (
    Kind(
        "head-sgd",
        "sgd",
        "constant",
        (3e-5, 1.0),
        {"batch_size": [16, 32], "weight_decay": [0.0, 0.01]},
        SGD,
    ),
    Kind(
        "head-adamw",
        "adamw",
        "cosine",
        (3e-6, 0.1),
        {"batch_size": [16, 32], "weight_decay": [0.0, 0.05]},
        ADAMW,
    ),
    Kind(
        "hidden-adamw",
        "adamw",
        "constant",
        (3e-6, 0.1),
        {"batch_size": [16, 32], "label_smoothing": [0.0, 0.1]},
        ADAMW,
        hidden=32,
    ),
)
NETWORKS = (
    Kind(
        "figures-adamw",
        "adamw",
        "cosine",
        (3e-5, 0.1),
        {"weight_decay": [0.0, 0.05], "label_smoothing": [0.0, 0.1]},
        ADAMW,
    ),
    Kind(
        "figures-sgd",
        "sgd",
        "cosine",
        (3e-4, 3.0),
        {"momentum": [0.0, 0.9], "weight_decay": [0.0, 0.0005]},
        SGD,
    ),
)
# Of the heads: classes, photos per class to learn from
SUBSETS = ((8, 20), (8, 5), (6, 10), (4, 6), (5, 3))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-search-tables", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="photos, one folder per class")
    parser.add_argument("--out", type=Path, default=FOLDER, help="default: %(default)s")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(FIGURE_SETS):
        photos = figures(number)
        for kind in NETWORKS:
            write(options.out / f"{kind.name}-{number}.csv", kind, small(number), photos, number)
    features, labels = lite0_features(options.data)
    for number, (classes, count) in enumerate(SUBSETS):
        photos = subset(features, labels, classes, count, number)
        for kind in HEADS:
            network = head(photos, kind.hidden, number)
            write(options.out / f"{kind.name}-{number}.csv", kind, network, photos, number)
    return 0


def subset(
    features: torch.Tensor, labels: torch.Tensor, classes: int, count: int, seed: int
) -> Photos:
    """Some classes with `count` photos each to learn from; all others of them to validate on."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(int(labels.max()) + 1, generator=generator)[:classes]
    parts: dict[str, list[torch.Tensor]] = {"train": [], "rest": []}
    for name in chosen:
        own = torch.nonzero(labels == name)[:, 0]
        own = own[torch.randperm(len(own), generator=generator)]
        parts["train"].append(own[:count])
        parts["rest"].append(own[count:])
    train, rest = torch.cat(parts["train"]), torch.cat(parts["rest"])
    numbers = torch.zeros(int(labels.max()) + 1, dtype=torch.long)
    numbers[chosen] = torch.arange(classes)
    return Photos(features[train], numbers[labels[train]], features[rest], numbers[labels[rest]])


def figures(seed: int) -> Photos:
    """Skeletons of all poses as small grey pictures, float [N, 1, PIXELS, PIXELS] around 0."""
    generator = np.random.default_rng(100 + seed)
    parts: dict[str, list[np.ndarray]] = {part: [] for part in FIGURES}
    numbers: dict[str, list[int]] = {part: [] for part in FIGURES}
    for label, pose in enumerate(sorted(POSES)):
        for part, count in FIGURES.items():
            for _ in range(count):
                parts[part].append(drawn(pose, generator))
                numbers[part].append(label)
    tensors = [torch.tensor(np.stack(parts[part]))[:, None] for part in FIGURES]
    labels = [torch.tensor(numbers[part]) for part in FIGURES]
    return Photos(tensors[0], labels[0], tensors[1], labels[1])


def drawn(pose: str, generator: np.random.Generator) -> np.ndarray:
    """A pose's strokes, float32 [PIXELS, PIXELS]: mirrored, sized, moved at random, with noise."""
    canvas = Image.new("L", (PIXELS, PIXELS))
    joints = skeleton(pose, generator)
    side = generator.choice((-1, 1))
    size = generator.uniform(0.13, 0.2) * PIXELS
    middle = PIXELS / 2 + generator.normal(0, 0.08 * PIXELS, 2)
    places = {name: middle + size * joint * (side, -1) for name, joint in joints.items()}
    for start, end in STROKES:
        ends = (*places[start], *places[end])
        ImageDraw.Draw(canvas).line(ends, fill=255, width=1)
    noise = generator.normal(0, 0.3, (PIXELS, PIXELS))
    return (np.asarray(canvas) / 127.5 - 0.5 + noise).astype(np.float32)


def head(photos: Photos, hidden: int, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    classes = int(photos.train_labels.max()) + 1
    width = photos.train.shape[1]
    if not hidden:
        return torch.nn.Linear(width, classes)
    layers = (torch.nn.Linear(width, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes))
    return torch.nn.Sequential(*layers)


def small(seed: int) -> torch.nn.Module:
    """Two convolutions and a linear layer, for figures()."""
    torch.manual_seed(seed)
    side = PIXELS // 4  # after two strides of 2
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(16 * side * side, len(POSES)),
    )


def write(path: Path, kind: Kind, network: torch.nn.Module, photos: Photos, seed: int) -> None:
    rows: list[tuple[dict[str, float], list[float]]] = []
    for part in parts_of(kind):
        rows += rows_of(kind, part, network, photos, seed)
    own = nearest(kind)
    names = list(kind.dimensions())
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow([*names, OWN, *range(1, EPOCHS + 1)])
        for values, curve in rows:
            cells = [f"{values[name]:g}" for name in names]
            table.writerow([*cells, int(values == own), *(f"{value:.4f}" for value in curve)])
    print(f"bench-search-tables: {path}", flush=True)


def parts_of(kind: Kind) -> Iterator[list[dict[str, float]]]:
    """The configurations, those of one batch size together."""
    every = [
        dict(zip(kind.dimensions(), values, strict=True))
        for values in itertools.product(*kind.dimensions().values())
    ]
    for size in sorted({values.get("batch_size", FIGURE_BATCH) for values in every}):
        yield [values for values in every if values.get("batch_size", FIGURE_BATCH) == size]


def rows_of(
    kind: Kind,
    part: list[dict[str, float]],
    network: torch.nn.Module,
    photos: Photos,
    seed: int,
) -> Iterator[tuple[dict[str, float], list[float]]]:
    defaults = {"weight_decay": 0.0, "momentum": 0.9, "label_smoothing": 0.0}

    def column(name: str) -> torch.Tensor:
        return torch.tensor([values.get(name, defaults.get(name, 0.0)) for values in part])

    settings = Settings(
        lr=column("lr"),
        weight_decay=column("weight_decay"),
        momentum=column("momentum"),
        label_smoothing=column("label_smoothing"),
        batch_size=int(part[0].get("batch_size", FIGURE_BATCH)),
        optimizer=kind.optimizer,
        schedule=kind.schedule,
    )
    curves = learn(network, photos, settings, EPOCHS, seed)
    yield from zip(part, curves.tolist(), strict=True)


def nearest(kind: Kind) -> dict[str, float]:
    """The configuration nearest to the recipe's own values."""
    dimensions = kind.dimensions()
    rates = np.array(dimensions["lr"])
    place = int(np.abs(np.log(rates / kind.own["lr"])).argmin())
    own = {name: kind.own[name] for name in dimensions}
    return own | {"lr": dimensions["lr"][place]}


if __name__ == "__main__":
    sys.exit(main())
