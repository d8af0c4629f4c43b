"""What the trained network sees in each photo: its head's inputs, of all channels, at the end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from train.data.channels import Channels, Photos
from train.learning.fit import Fit
from train.learning.linear_head import head_inputs, head_of
from train.learning.loop import Loader, dealt_in_order
from train.learning.objective import multi_hot, padded
from train.learning.probe import as_they_are, without_views


@dataclass(frozen=True)
class Features:
    """Those of one channel's photos, on the CPU."""

    channel: str
    paths: Sequence[Path]  # [N]
    rows: torch.Tensor  # float32 [N, D]
    targets: torch.Tensor  # float32 [N, classes]


def features_of_all_hosts(plan: Fit, photos: Photos, stop: Callable[[], bool]) -> Features | None:
    """Those of the training photos that the hosts share out, in the main process.

    All processes call this together: each computes its own photos'. None where every host has all
    photos, where `read_features` gives none, and in the other processes.
    """
    learner = plan.learner
    if photos.paths.owners is None or not _has_vectors(learner.network):
        return None
    if learner.hook:
        learner.hook.mode("predict")
    loader = without_views(learner, plan.train, photos)
    rows = head_inputs(learner, loader, stop, learner.precision)
    if rows is None:
        return None
    dealt = dealt_in_order(learner, len(photos), loader.owners)
    every = learner.context.gather(rows, dealt)
    if not learner.context.is_main_process:
        return None
    return _with_targets("train", photos, every, learner.classes)


def read_features(
    plan: Fit,
    channels: Channels,
    stop: Callable[[], bool],
    of_all_hosts: Features | None = None,
) -> dict[str, Features]:
    """By channel, without empty ones; none when stopped, and for a head that is a convolution.

    Of photos as they are. Kept features of those are read, not computed. PhotoError, OSError.
    of_all_hosts: of the training photos, where the hosts share them out; without it there are none.
    """
    learner = plan.learner
    if not _has_vectors(learner.network):
        return {}
    found: dict[str, Features] = {}
    loaders: dict[str, tuple[Photos, Loader]] = {
        "validation": (channels.validation, plan.validation),
        "test": (channels.test, as_they_are(learner, channels.test)),
    }
    if of_all_hosts:
        found["train"] = of_all_hosts
    elif channels.train.paths.owners is None:
        own = without_views(learner, plan.train, channels.train)
        loaders = {"train": (channels.train, own)} | loaders
    else:
        return {}
    for channel, (photos, loader) in loaders.items():
        if not len(photos):
            continue
        rows = head_inputs(learner, loader, stop, learner.precision)
        if rows is None:
            return {}
        found[channel] = _with_targets(channel, photos, rows, learner.classes)
    return found


def _with_targets(channel: str, photos: Photos, rows: torch.Tensor, classes: int) -> Features:
    targets = multi_hot(padded(photos.labels, classes), classes)
    return Features(channel, photos.paths, rows.cpu(), targets)


def _has_vectors(network: nn.Module) -> bool:
    """Whether the head's inputs are vectors: those of a convolution are not."""
    return isinstance(_first_layer(head_of(network)), nn.Linear)


def _first_layer(head: nn.Module) -> nn.Module:
    return head[0] if isinstance(head, nn.Sequential) else head
