"""The network that a job trains: built, filled with its first weights, frozen as asked, and split.

`Networks` keeps the last one, so that the trials of a search in one process share it. A training
gets the same network whichever ones came before.
"""

import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from artifact.export import check_exportable
from artifact.networks.network import build, own_preprocessing, put_values
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.batches import mixes
from train.data.loader import STEP_PIXELS
from train.device import autocast
from train.distributed.context import DistributedContext
from train.job import JobError
from train.model.fitting_sizes import advice
from train.model.incremental import EarlierArtifact, load_earlier_weights
from train.model.known_models import check_model, published_name
from train.model.normalization import synchronize
from train.model.split_at_frozen import SplitNetwork, split_at_frozen
from train.model.trainable import freeze, head_name, learned, set_training
from train.model.weights import Source, load_weights, weights_files

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A network on its device. frozen: its modules that stay as they are."""

    module: nn.Module
    frozen: list[nn.Module]
    preprocessing: Preprocessing
    source: Source
    _parts: dict[torch.dtype, SplitNetwork | None] = field(default_factory=dict)

    def parts(
        self, hp: Hyperparameters, device: torch.device, precision: torch.dtype
    ) -> SplitNetwork | None:
        """The network split behind its frozen modules; None where it is not.

        hp: of the training, which says whether features can be kept. precision: of the features.
        """
        if not self.frozen or not _features_last(hp, self.preprocessing):
            return None
        if precision not in self._parts:
            set_training(self.module, self.frozen)
            side = self.preprocessing.crop
            sample = torch.zeros(2, 3, side, side, device=device)
            with autocast(device, precision):
                self._parts[precision] = split_at_frozen(
                    self.module,
                    self.frozen,
                    sample.contiguous(memory_format=torch.channels_last),
                )
        return self._parts[precision]


class Networks:
    """Makes networks, and gives the last one again where it would be the same.

    It is put back to its first values. Only those of its head may differ.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._network: Network | None = None
        self._first: dict[str, torch.Tensor] = {}

    def make(
        self,
        hp: Hyperparameters,
        classes: tuple[str, ...],
        channels: dict[str, Path],
        device: torch.device,
        context: DistributedContext,
        earlier: EarlierArtifact | None,
    ) -> Network:
        """As make_network."""
        key = (*_settings(hp, earlier), classes, device)
        key += weights_files(hp.weights, channels)
        network = self._network
        if network is None or key != self._key or context.size > 1 or earlier:
            # its memory must be free first
            self._key = self._network = network = None
            network = make_network(hp, classes, channels, device, context, earlier)
            values = learned(network.module, network.frozen)
            self._first = {name: value.clone() for name, value in values.items()}
            self._network = network
            self._key = key
            return network
        put_values(network.module, self._first, strict=False)
        if not network.source.head:
            _draw_head(network.module, hp.seed)
        log.info("network: the one of the training before, put back to its first weights")
        return network


def _settings(hp: Hyperparameters, earlier: EarlierArtifact | None) -> tuple[object, ...]:
    """The hyperparameters that a network depends on, beside its weights."""
    preprocessing = sizes(hp, _preprocessing(earlier))
    seed = None
    if hp.weights == "none":
        seed = hp.seed  # it matters to random weights only
    return (
        hp.model,
        hp.head,
        hp.trainable,
        preprocessing,
        first_side(hp, preprocessing),
        seed,
    )


def _features_last(hp: Hyperparameters, preprocessing: Preprocessing) -> bool:
    """Whether a frozen module's features of a view can be kept, and serve in other epochs.

    They are of one size then, and of one photo each.
    """
    one_size = hp.first_resolution == 1 and train_side(hp, preprocessing) == preprocessing.crop
    return bool(hp.feature_views) and one_size and not mixes(hp)


def make_network(
    hp: Hyperparameters,
    classes: tuple[str, ...],
    channels: dict[str, Path],
    device: torch.device,
    context: DistributedContext,
    earlier: EarlierArtifact | None,
) -> Network:
    """The network of these settings.

    channels: the job's, one of which may hold the weights. JobError when the settings contradict
    each other, or the weights.
    """
    preprocessing = sizes(hp, _preprocessing(earlier))
    drawn = hp.weights == "none" and not earlier
    module = _build(hp, len(classes), preprocessing, drawn)
    _draw_head(module, hp.seed)  # before the weights, which may bring a head
    if earlier:
        source = load_earlier_weights(module, hp, earlier, classes)
    else:
        source = load_weights(module, hp.model, hp.weights, channels, hp.seed, hp.trainable)
    frozen = freeze(module, hp.trainable)
    synchronize(module, frozen, context, device)  # before the move: it adds modules
    module.to(device)
    last = torch.channels_last
    module.to(memory_format=last)  # type: ignore[call-overload]  # torch's
    return Network(module, frozen, preprocessing, source)


def _build(
    hp: Hyperparameters,
    classes: int,
    preprocessing: Preprocessing,
    drawn: bool,
) -> nn.Module:
    """The network, built for these sizes. drawn: with random weights."""
    torch.manual_seed(hp.seed)
    try:
        module = build(hp.model, classes, hp.head, preprocessing.crop, drawn)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise _unfit(hp, preprocessing.crop, preprocessing.crop, error) from error
    for side in {preprocessing.crop, *_train_sides(hp, preprocessing)}:
        try:
            check_exportable(module, side)
        except (RuntimeError, AssertionError) as error:
            raise _unfit(hp, side, preprocessing.crop, error) from error
    return module


def _unfit(hp: Hyperparameters, side: int, crop: int, error: Exception) -> JobError:
    """The sentence for photos of a size that the model cannot see. side, crop: pixels."""
    words = (str(error).splitlines() or ["it does not say why"])[0]
    mend = "leave train_size and first_resolution out"
    if side == crop:
        mend = advice(hp.model, crop)
    return JobError(
        f"model {hp.model} cannot see photos of {side} x {side} pixels ({words[:200]}); {mend}"
    )


def _draw_head(module: nn.Module, seed: int) -> None:
    """Give the head first values that depend on the seed alone, whatever was drawn before."""
    torch.manual_seed(seed)
    for part in module.get_submodule(head_name(module)).modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()


def _preprocessing(earlier: EarlierArtifact | None) -> Preprocessing | None:
    if earlier is None:
        return None
    return earlier.description.preprocessing


def sizes(hp: Hyperparameters, earlier: Preprocessing | None = None) -> Preprocessing:
    """The preprocessing asked for.

    A size of 0 is the earlier artifact's, or the published weights' own, in proportion. JobError
    when the sizes do not fit.
    """
    check_model(hp.model)
    try:
        own = earlier or own_preprocessing(
            hp.model, published_name(hp.model, hp.weights, hp.trainable)
        )
        crop = hp.image_size or own.crop
        resize = hp.resize or max(crop, round(crop * own.resize / own.crop))
        return dataclasses.replace(own, crop=crop, resize=resize)
    except ValueError as error:
        raise JobError(str(error)) from error


def train_side(hp: Hyperparameters, preprocessing: Preprocessing) -> int:
    """The side of the training views, pixels."""
    return hp.train_size or preprocessing.crop


def first_side(hp: Hyperparameters, preprocessing: Preprocessing) -> int:
    """The side of the first epoch's views, pixels: a multiple of STEP_PIXELS, or the full one."""
    side = train_side(hp, preprocessing)
    if hp.first_resolution == 1:
        return side
    steps = round(hp.first_resolution * side / STEP_PIXELS)
    return min(side, max(1, steps) * STEP_PIXELS)


def _train_sides(hp: Hyperparameters, preprocessing: Preprocessing) -> set[int]:
    return {train_side(hp, preprocessing), first_side(hp, preprocessing)}
