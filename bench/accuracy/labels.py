"""Planted wrong labels that are found: precision and recall at the method's own cut."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from bench.accuracy.features import Backbone, mean_of, photos_of
from bench.accuracy.parts import Bench, Figures
from train.result.doubts import find_doubts

DRAWS = 20
SHARE = 0.05  # of the labels are changed
SETTINGS: dict[str, object] = {"draws": DRAWS, "share": SHARE}


def measure(bench: Bench) -> Figures:
    if bench.data is None:
        raise RuntimeError("it needs photos; give --data FOLDER")
    data = bench.data
    return bench.parts.measured("labels", SETTINGS, lambda: _measured(data))


def _measured(data: Path) -> Figures:
    features, labels = photos_of(data, Backbone())
    precision, recall = mean_of(DRAWS, lambda seed: _one_draw(features, labels, seed))
    return {"label_precision": float(precision), "label_recall": float(recall)}


def _one_draw(features: torch.Tensor, labels: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Precision and recall of one draw of changed labels."""
    random = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    changed = random.choice(len(labels), round(SHARE * len(labels)), replace=False)
    given = labels.copy()
    given[changed] = (given[changed] + random.integers(1, classes, len(changed))) % classes
    targets = functional.one_hot(torch.from_numpy(given), classes).float()
    doubts = find_doubts(features, targets, False, lambda: False)
    assert doubts is not None
    doubted = doubts.wrong.any(1).numpy()
    found = int(doubted[changed].sum())
    return np.array([found / max(1, int(doubted.sum())), found / len(changed)])
