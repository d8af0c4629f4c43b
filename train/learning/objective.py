"""What is right and how wrong an answer is: for one label a photo, and for several (multi_label)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from train.data.photo_index import MISSING, Labels


def padded(labels: Sequence[tuple[int, ...]], classes: int) -> torch.Tensor:
    """Labels of each photo as int64 [N, K], K the most that a photo has; the number of classes stands where it has fewer."""
    values = Labels.of(labels).values
    return torch.from_numpy(np.where(values == MISSING, classes, values).astype(np.int64))


def multi_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """1 for each label of a photo, 0 elsewhere: float32 [N, classes] from padded labels [N, K]."""
    return torch.zeros(len(labels), classes + 1, device=labels.device).scatter_(1, labels, 1.0)[
        :, :classes
    ]


def losses(
    logits: torch.Tensor,
    wanted: torch.Tensor,
    multi_label: bool,
    class_weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """The loss of each photo, float [N], from logits and targets [N, classes], on its own: whoever shares its batch.

    One label: cross-entropy, times the label's weight. Several: binary cross-entropy, weighted, mean over the classes.
    """
    if not multi_label:
        return functional.cross_entropy(
            logits, wanted, class_weights, reduction="none", label_smoothing=label_smoothing
        )
    wanted = wanted.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(
        logits, wanted, class_weights, reduction="none"
    ).mean(dim=1)


def is_correct(
    scores: torch.Tensor, wanted: torch.Tensor, multi_label: bool, threshold: float = 0.0
) -> torch.Tensor:
    """Which photos are answered rightly, bool [N]: the highest score is the label's; or the scores above the threshold
    (0 for logits, 0.5 for probabilities) are just the labels'."""
    if not multi_label:
        return scores.argmax(dim=1) == wanted.argmax(dim=1)
    return ((scores > threshold) == (wanted > 0.5)).all(dim=1)


def is_in_top_k(scores: torch.Tensor, wanted: torch.Tensor, k: int) -> torch.Tensor:
    """Which photos have a label among the k highest scores, bool [N]."""
    highest = scores.topk(min(k, scores.shape[1]), dim=1).indices
    return wanted.gather(1, highest).any(dim=1)
