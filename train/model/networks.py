"""The network that a job trains: built, filled with its first weights, frozen as asked, and cut where learning begins.

`Networks` keeps the last one, so that the trials of a search in one process share it; what a training gets does not depend on
those before it.
"""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from artifact.export import check_exportable
from artifact.network import build, own_preprocessing
from artifact.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.loader import STEP_PIXELS
from train.distributed.context import DistributedContext
from train.job import JobError
from train.learning.incremental import EarlierArtifact, load_earlier_weights
from train.model.device import autocast
from train.model.normalization import synchronize
from train.model.split_at_frozen import SplitNetwork, split_at_frozen
from train.model.trainable import freeze, learned, set_training
from train.model.weights import Source, load_weights, weights_files

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A network on its device. frozen: its modules that stay as they are; parts: it cut in two, None where it is not."""

    module: nn.Module
    frozen: list[nn.Module]
    parts: SplitNetwork | None
    preprocessing: Preprocessing
    source: Source


class Networks:
    """Makes networks. One that differs from the last in its head's first values alone is the last one, put back as it was."""

    def __init__(self):
        self._key: tuple | None = None
        self._network: Network | None = None
        self._first: dict[str, torch.Tensor] = {}

    def make(
        self,
        hp: Hyperparameters,
        classes: tuple[str, ...],
        channels: dict[str, Path],
        device: torch.device,
        precision: torch.dtype,
        context: DistributedContext,
        earlier: EarlierArtifact | None,
    ) -> Network:
        """As make_network."""
        preprocessing = sizes(hp, earlier.description.preprocessing if earlier else None)
        settings = (
            hp.model,
            hp.head,
            hp.trainable,
            first_side(hp, preprocessing),
            bool(hp.feature_views),
            hp.seed if hp.weights == "none" else None,
        )
        key = (
            settings,
            classes,
            preprocessing,
            device,
            precision,
            weights_files(hp.weights, channels),
        )
        if self._network is None or key != self._key or context.size > 1 or earlier:
            self._key = self._network = None  # its memory first
            self._network = make_network(hp, classes, channels, device, precision, context, earlier)
            self._first = {
                name: value.clone()
                for name, value in learned(self._network.module, self._network.frozen).items()
            }
            self._key = key
            return self._network
        self._network.module.load_state_dict(self._first, strict=False)
        if not self._network.source.head:
            _draw_head(self._network.module, hp.seed)
        log.info("network: the one of the training before, put back to its first weights")
        return self._network


def make_network(
    hp: Hyperparameters,
    classes: tuple[str, ...],
    channels: dict[str, Path],
    device: torch.device,
    precision: torch.dtype,
    context: DistributedContext,
    earlier: EarlierArtifact | None,
) -> Network:
    """The network of these settings. channels: a job's, of which one may hold the weights. JobError when there can be none."""
    preprocessing = sizes(hp, earlier.description.preprocessing if earlier else None)
    torch.manual_seed(hp.seed)
    try:
        module = build(
            hp.model,
            len(classes),
            hp.head,
            preprocessing.crop,
            drawn=hp.weights == "none" and not earlier,
        )
    except ValueError as error:
        raise JobError(str(error)) from error
    for side in {preprocessing.crop, first_side(hp, preprocessing)}:
        try:
            check_exportable(module, side)
        except (RuntimeError, AssertionError) as error:
            raise JobError(
                f"model {hp.model} cannot see photos of {side} x {side} pixels ({error}); set another image_size or first_resolution"
            ) from error
    _draw_head(module, hp.seed)
    source = (
        load_earlier_weights(module, hp, earlier, classes)
        if earlier
        else load_weights(module, hp.model, hp.weights, channels, hp.seed)
    )
    frozen = freeze(module, hp.trainable)
    synchronize(module, frozen, context, device)
    module.to(device, memory_format=torch.channels_last)
    parts = None
    if frozen and hp.feature_views and hp.first_resolution == 1:
        set_training(module, frozen)
        sample = torch.zeros(
            2, 3, preprocessing.crop, preprocessing.crop, device=device
        ).contiguous(memory_format=torch.channels_last)
        with autocast(device, precision):
            parts = split_at_frozen(module, frozen, sample)
    return Network(module, frozen, parts, preprocessing, source)


def _draw_head(module: nn.Module, seed: int) -> None:
    """First values of the head that follow from the seed alone, whatever else was drawn before."""
    torch.manual_seed(seed)
    for part in module.get_submodule(module.head_name).modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()


def sizes(hp: Hyperparameters, earlier: Preprocessing | None = None) -> Preprocessing:
    """The preprocessing asked for; where a size is 0, the earlier artifact's or the published weights' own, in proportion.
    JobError when they do not fit."""
    try:
        own = earlier or own_preprocessing(
            hp.model, hp.weights if hp.weights.startswith("IMAGENET") else "DEFAULT"
        )
        crop = hp.image_size or own.crop
        resize = hp.resize or max(crop, round(crop * own.resize / own.crop))
        return dataclasses.replace(own, crop=crop, resize=resize)
    except ValueError as error:
        raise JobError(str(error)) from error


def first_side(hp: Hyperparameters, preprocessing: Preprocessing) -> int:
    """Side of the views of the first epoch, pixels."""
    if hp.first_resolution == 1:
        return preprocessing.crop
    return min(
        preprocessing.crop,
        max(
            STEP_PIXELS, round(hp.first_resolution * preprocessing.crop / STEP_PIXELS) * STEP_PIXELS
        ),
    )
