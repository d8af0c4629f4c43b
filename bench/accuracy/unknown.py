"""Photos of no class that are told from the classes' own by the score behind `known`.

The figure is the area under the ROC curve of the test photos against the kind of pictures that is
hardest to tell: stick figures, noise, and the readable files of the folder --strange.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from artifact.class_means import class_means, distances
from bench.accuracy.features import Backbone, Pixels, files_below, mean_of, photos_of
from bench.accuracy.parts import Bench, Figures
from local_test.stick_figures import draw

TESTED = 0.15  # of the photos
STICK_FIGURES = 30  # per pose
NOISE = 100


def measure(bench: Bench) -> Figures:
    if bench.data is None:
        raise RuntimeError("it needs photos; give --data FOLDER")
    data = bench.data
    settings: dict[str, object] = {"seeds": bench.seeds, "strange": bool(bench.strange)}
    found = bench.parts.measured("unknown", settings, lambda: _measured(bench, data))
    return {"unknown_auroc": min(found.values())}


def _measured(bench: Bench, data: Path) -> Figures:
    """The area for each kind, the mean over the seeds' splits."""
    backbone = Backbone()
    features, labels = photos_of(data, backbone)
    kinds = {"stick_figures": _stick_figures(backbone), "noise": _noise(backbone)}
    if bench.strange:
        kinds["strange"] = backbone.features(backbone.sized(files_below(bench.strange)))
    areas = mean_of(
        bench.seeds,
        lambda seed: np.array([_area(features, labels, seed, rows) for rows in kinds.values()]),
    )
    return dict(zip(kinds, areas.tolist(), strict=True))


def _stick_figures(backbone: Backbone) -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), STICK_FIGURES)
        return backbone.features(backbone.sized(files_below(Path(folder))))


def _noise(backbone: Backbone) -> torch.Tensor:
    """Normal noise around grey."""
    random = np.random.default_rng(0)
    side = backbone.preprocessing.crop

    def picture() -> Pixels:
        return random.normal(127.5, 64, (side, side, 3)).clip(0, 255).astype(np.uint8)

    return backbone.features(picture() for _ in range(NOISE))


def _area(
    features: torch.Tensor, labels: NDArray[np.int64], seed: int, others: torch.Tensor
) -> float:
    """How often a picture of another kind is farther than a test photo; ties count half."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    tested = round(TESTED * len(labels))
    targets = functional.one_hot(torch.from_numpy(labels)).float()
    train = order[tested:]
    means = class_means(features[train], targets[train])
    own = distances(features[order[:tested]], means)[:, None]
    far = distances(others, means)[None]
    return float((far > own).double().mean() + (far == own).double().mean() / 2)
