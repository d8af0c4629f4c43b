"""What the trained network sees in each photo: its head's inputs, of all channels, at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from train.data.channels import Channels, Photos
from train.learning.fit import Fit
from train.learning.linear_head import head_inputs, head_of
from train.learning.loop import Loader
from train.learning.objective import multi_hot, padded
from train.learning.probe import as_they_are, without_views


@dataclass(frozen=True)
class Features:
    """Those of one channel's photos, on the CPU."""

    channel: str
    paths: Sequence[Path]  # [N]
    rows: torch.Tensor  # float32 [N, D]
    targets: torch.Tensor  # float32 [N, classes]


def read_features(plan: Fit, channels: Channels, stop: Callable[[], bool]) -> dict[str, Features]:
    """By channel, without empty ones; none when stopped, and for a head that is a convolution.

    Of photos as they are. Kept features of those are read, not computed. PhotoError, OSError.
    """
    learner = plan.learner
    if not isinstance(_first_layer(head_of(learner.network)), nn.Linear):
        return {}
    loaders: dict[str, tuple[Photos, Loader]] = {
        "train": (channels.train, without_views(learner, plan.train, channels.train)),
        "validation": (channels.validation, plan.validation),
        "test": (channels.test, as_they_are(learner, channels.test)),
    }
    found: dict[str, Features] = {}
    for channel, (photos, loader) in loaders.items():
        if not len(photos):
            continue
        rows = head_inputs(learner, loader, stop, learner.precision)
        if rows is None:
            return {}
        targets = multi_hot(padded(photos.labels, learner.classes), learner.classes)
        found[channel] = Features(channel, photos.paths, rows.cpu(), targets)
    return found


def _first_layer(head: nn.Module) -> nn.Module:
    return head[0] if isinstance(head, nn.Sequential) else head
