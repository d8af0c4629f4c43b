"""The loss of an answer, and whether it is correct: for one label per photo, and for several."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from train.data.photo_index import MISSING, Labels


def padded(labels: Sequence[tuple[int, ...]], classes: int) -> torch.Tensor:
    """The labels of each photo as int64 [N, K], where K is the most labels of a photo.

    The number of classes fills the places of a photo that has fewer.
    """
    values = Labels.of(labels).values
    return torch.from_numpy(np.where(values == MISSING, classes, values).astype(np.int64))


def multi_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """1 for each label of a photo, else 0: float32 [N, classes] from padded labels [N, K]."""
    hot = torch.zeros(len(labels), classes + 1, device=labels.device)
    return hot.scatter_(1, labels, 1.0)[:, :classes]  # the last column is the padding's


def losses(
    logits: torch.Tensor,
    targets: torch.Tensor,
    multi_label: bool,
    class_weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """The loss of each photo, float [N], whichever photos share its batch.

    logits, targets: [N, classes]. With one label: cross-entropy, times the label's weight. With
    several: binary cross-entropy, weighted, mean over the classes.
    """
    if not multi_label:
        return functional.cross_entropy(
            logits, targets, class_weights, reduction="none", label_smoothing=label_smoothing
        )
    # as cross_entropy smooths: between the two classes "yes" and "no"
    smoothed = targets.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    elements = functional.binary_cross_entropy_with_logits(
        logits, smoothed, class_weights, reduction="none"
    )
    return elements.mean(dim=1)


def is_correct(
    scores: torch.Tensor,
    targets: torch.Tensor,
    multi_label: bool,
    threshold: float = 0.0,
) -> torch.Tensor:
    """Whether each photo's answer is correct, bool [N].

    With one label: the highest score is the label's. With several: the scores above the threshold
    (0 for logits, 0.5 for probabilities) are exactly the labels'.
    """
    if not multi_label:
        return scores.argmax(dim=1) == targets.argmax(dim=1)
    return ((scores > threshold) == (targets > 0.5)).all(dim=1)


def is_in_top_k(scores: torch.Tensor, targets: torch.Tensor, k: int) -> torch.Tensor:
    """Whether a label of each photo is among the k highest scores, bool [N]."""
    highest = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return targets.gather(1, highest).any(dim=1)
