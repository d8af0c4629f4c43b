"""Which labels are likely wrong, from predictions of models that have not seen them.

Confident learning after Northcutt, Jiang and Chuang (JAIR 2021): a photo counts for a class where
its probability reaches the mean of the photos with that label. As many labels are doubted as photos
count for another class than their own: those with the lowest margins. cleanlab's
find_label_issues(filter_by="low_normalized_margin") does the same, and is the test's judge; it
brings scikit-learn and pandas along, which training goes without.
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
    chosen[order[: _wrong_count(labels, probabilities)]] = True
    return chosen


def margin(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """The label's probability less the highest of the other classes, -1 to 1, [N]."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    margins: NDArray[np.float64] = probabilities[rows, labels] - others.max(1)
    return margins


def _wrong_count(labels: Labels, probabilities: Probabilities) -> int:
    """How many photos count for another class than their label's, and are predicted as another."""
    means = np.full(probabilities.shape[1], np.inf)  # a class without photos: none counts for it
    for index in np.unique(labels):
        means[index] = probabilities[labels == index, index].mean()
    counts_for = probabilities >= means - ROUNDING
    best = probabilities.argmax(1)
    only_one = counts_for.sum(1) == 1
    likely = np.where(only_one, counts_for.argmax(1), best)
    is_other = counts_for.any(1) & (likely != labels) & (best != labels)
    return int(is_other.sum())
