"""Which labels are likely wrong, from predictions of models that have not seen them.

Confident learning after Northcutt, Jiang and Chuang (JAIR 2021). A photo counts for a class where
its probability reaches the mean of the photos with that label. The counts of labels against what
their photos count for estimate how many labels are wrong. As many are doubted, those with the
lowest margins first. The tests hold it against cleanlab, which brings scikit-learn and pandas
along: training goes without it, so that the same labels are doubted everywhere.

The predictions are a logistic regression's, from kept features. These count as directions, of
length 1: the same labels are then found wrong more reliably than over standardised features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from train.learning.logistic import LogisticRegression
from train.learning.objective import losses

Probabilities = NDArray[np.float64]  # [N, classes], out of fold
Labels = NDArray[np.int64]  # [N]
ROUNDING = 1e-6  # below a class's mean probability
FOLDS = 5
MOST_DIMENSIONS = 512  # principal components; more changes no prediction, and takes its square
STRENGTHS = (0.1, 0.03, 0.01, 0.003)  # of the penalty, from the strongest

Stop = Callable[[], bool]


def doubted(labels: Labels, probabilities: Probabilities) -> NDArray[np.bool_]:
    """Whether each photo's label is likely wrong, bool [N]."""
    margins = margin(labels, probabilities)
    order = np.argsort(margins, kind="stable")
    chosen = np.zeros(len(labels), bool)
    chosen[order[: wrong_count(labels, probabilities)]] = True
    return chosen & (margins < 0)


def margin(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """The label's probability less the highest of the other classes, -1 to 1, [N]."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    margins: NDArray[np.float64] = probabilities[rows, labels] - others.max(1)
    return margins


def wrong_count(labels: Labels, probabilities: Probabilities) -> int:
    """How many labels are wrong, by the counts outside the confident joint's diagonal.

    Each row of the joint is scaled to the photos with that label, in whole photos.
    """
    joint = confident_joint(labels, probabilities).astype(np.float64)
    photos = np.bincount(labels, minlength=len(joint))
    wrong = 0
    for index, row in enumerate(joint):
        wrong += int(photos[index] - _whole(row / row.sum() * photos[index])[index])
    return wrong


def confident_joint(labels: Labels, probabilities: Probabilities) -> NDArray[np.int64]:
    """Photos by their label and by what they count for, [classes, classes].

    Of two classes that a photo counts for, the more probable one holds.
    """
    classes = probabilities.shape[1]
    means = np.full(classes, np.inf)  # a class without photos: none counts for it
    for index in np.unique(labels):
        means[index] = probabilities[labels == index, index].mean()
    counts_for = probabilities >= means - ROUNDING
    only_one = counts_for.sum(1) == 1
    likely = np.where(only_one, counts_for.argmax(1), probabilities.argmax(1))
    sure = counts_for.any(1)
    joint = np.zeros((classes, classes), np.int64)
    np.add.at(joint, (labels[sure], likely[sure]), 1)
    np.fill_diagonal(joint, joint.diagonal().clip(min=1))
    return joint


def _whole(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded, with the same sum: where rounding misses it, the largest errors are rounded back."""
    rounded = shares.round()
    missing = int(round(shares.sum() - rounded.sum()))
    errors = np.argsort(shares - rounded)
    if missing > 0:
        rounded[errors[-missing:]] += 1
    elif missing < 0:
        rounded[errors[:-missing]] -= 1
    return rounded


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
