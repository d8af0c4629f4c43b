"""Which photos count as known: the classes' means, and the threshold of the distance from them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from artifact.class_means import class_means, distances
from train.result.features import Features

SHARE = 0.95  # of the photos of the training's kind that are to count as known
FEWEST = 20  # validation photos that set a threshold by themselves

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Score:
    """model.json's `known`, the classes' means, and what they come from; empty without features."""

    figures: dict[str, object]
    means: torch.Tensor | None  # float32 [classes, D]
    features: Mapping[str, Features]  # by channel


def fit_known(features: Mapping[str, Features]) -> Score:
    """The score of a network that sees these features, by channel.

    The validation photos set the threshold. Where there are few, the training photos do, too: each
    half is measured from the means of the other.
    """
    if not features:
        return Score({}, None, {})
    train = features["train"]
    means = class_means(train.rows, train.targets)
    judged = []
    if "validation" in features:
        judged.append(distances(features["validation"].rows, means))
    if sum(map(len, judged)) < FEWEST:
        judged += _cross_fitted(train)
    found = torch.cat(judged)
    threshold = float(torch.quantile(found, SHARE))
    log.info(
        "known: photos within a cosine distance of %.4f of a class, as %.0f %% of %d photos are",
        threshold,
        100 * SHARE,
        len(found),
    )
    figures: dict[str, object] = {
        "score": "distance",
        "measure": "cosine distance of the head's inputs to the nearest class mean",
        "threshold": threshold,
        "share": SHARE,
        "photos": len(found),
    }
    return Score(figures, means, features)


def _cross_fitted(train: Features) -> list[torch.Tensor]:
    found = []
    for part in (0, 1):
        others = class_means(train.rows[1 - part :: 2], train.targets[1 - part :: 2])
        found.append(distances(train.rows[part::2], others))
    return found
