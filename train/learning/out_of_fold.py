"""Predictions of each photo by a logistic regression that has not seen it, from kept features.

The features count as directions, of length 1: the same labels are then found wrong more reliably
than over standardised features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from train.learning.logistic import LogisticRegression
from train.learning.objective import losses

FOLDS = 5
MOST_DIMENSIONS = 512  # principal components; more changes no prediction, and takes its square
STRENGTHS = (0.1, 0.03, 0.01, 0.003)  # of the penalty, from the strongest

Stop = Callable[[], bool]


@dataclass(frozen=True)
class OutOfFold:
    """Predictions, float32 [N, classes], and the penalty that gave the lowest loss."""

    probabilities: torch.Tensor
    strength: float


class CrossValidation:
    """The folds of some photos.

    features: float32 [N, D]. targets: float32 [N, classes]. The photos of a class are dealt out to
    the folds in turn, in an order that is always the same.
    """

    def __init__(self, features: torch.Tensor, targets: torch.Tensor, multi_label: bool):
        self.rows = principal(functional.normalize(features, dim=1))
        self.targets = targets
        self.multi_label = multi_label
        generator = torch.Generator().manual_seed(0)
        order = torch.randperm(len(targets), generator=generator)
        by_class = order[torch.argsort(targets[order].argmax(1), stable=True)]
        self.folds = torch.empty(len(targets), dtype=torch.int64)
        self.folds[by_class] = torch.arange(len(targets)) % FOLDS

    def predict(
        self, kept: torch.Tensor, strengths: tuple[float, ...], stop: Stop
    ) -> OutOfFold | None:
        """Predictions of all photos by models of the kept ones of the other folds.

        kept: bool [N]. None when stopped.
        """
        logits = torch.zeros(len(strengths), *self.targets.shape)
        for fold in range(FOLDS):
            shown = kept & (self.folds != fold)
            hidden = self.folds == fold
            targets = self.targets[shown]
            columns = targets.shape[1] if self.multi_label else 1
            weights = torch.ones(len(targets), columns)
            regression = LogisticRegression(
                self.rows[shown],
                targets,
                weights,
                self.multi_label,
                len(targets),
                lambda value: value,
                alike=True,
            )
            for place, strength in enumerate(strengths):
                if not regression.solve(strength, stop):
                    return None
                weight, bias = regression.layer()
                logits[place, hidden] = functional.linear(self.rows[hidden], weight, bias)
        return self._best(logits, strengths)

    def _best(self, logits: torch.Tensor, strengths: tuple[float, ...]) -> OutOfFold:
        lost = [losses(found, self.targets, self.multi_label).sum().item() for found in logits]
        place = lost.index(min(lost))
        chosen = logits[place]
        likely = torch.sigmoid(chosen) if self.multi_label else chosen.softmax(1)
        return OutOfFold(likely, strengths[place])


def principal(rows: torch.Tensor) -> torch.Tensor:
    """Centred rows [N, D] in their principal components, [N, at most MOST_DIMENSIONS].

    Distances and angles stay as they are, but for what the last components held.
    """
    centred = rows - rows.mean(0)
    count, width = centred.shape
    if count < width:
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        components = vectors * values.clamp_min(0).sqrt()
    else:
        _, vectors = torch.linalg.eigh(centred.T @ centred)
        components = centred @ vectors
    largest: torch.Tensor = components[:, -MOST_DIMENSIONS:]
    return largest
