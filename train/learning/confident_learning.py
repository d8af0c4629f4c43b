"""Which labels are likely wrong, from predictions of models that have not seen them.

Confident learning after Northcutt, Jiang and Chuang (JAIR 2021). A photo counts for a class where
its probability reaches the mean of the photos with that label. The counts of labels against what
their photos count for estimate how many labels are wrong. As many are doubted, those with the
lowest margins first. The tests hold it against cleanlab, which brings scikit-learn and pandas
along: training goes without it, so that the same labels are doubted everywhere.
"""

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.float64]  # [N, classes], out of fold
Labels = NDArray[np.int64]  # [N]
ROUNDING = 1e-6  # below a class's mean probability


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
