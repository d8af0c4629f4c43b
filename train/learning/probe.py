"""What a linear head on the first weights reaches, beside every training.

A fine-tuning is worth its time where it gets above this. The head is solved as
`optimizer: lbfgs` solves it, before the first epoch, and costs one pass over the photos.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from train.data.channels import Channels, Photos
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.learning.choose_optimizer import size_obstacle
from train.learning.linear_head import (
    Solved,
    head_inputs,
    head_of,
    solve_head,
    width_of,
)
from train.learning.loop import Learner, Loader, dealt_in_order
from train.learning.objective import is_correct, multi_hot, padded
from train.model.weights import Source

KEPT_BYTES = 256_000_000  # of features, for the whole training
FLOAT32_BYTES = 4

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """Where the features come from. Labels are padded, int64 [N, K].

    train, validation: photos as they are, or their kept features. precision: of the features.
    refusal: why no head is solved, as the end of a sentence; "" where one is. kept: the features of
    the first weights, float32 [N, D] by channel, on the CPU, in the main process; empty where
    they are large.
    """

    train: Loader
    validation: Loader
    test: PixelLoader
    test_labels: torch.Tensor
    precision: torch.dtype = torch.float32
    refusal: str = ""
    kept: dict[str, torch.Tensor] = field(default_factory=dict)


def make_probe(
    learner: Learner,
    channels: Channels,
    loaders: tuple[Loader, Loader],
    source: Source,
    wanted: bool,
) -> Probe | None:
    """The probe of a training; None where it is not wanted.

    loaders: the training's own of the photos for training and validation. Nothing is decoded yet.
    A training that starts from the solved head always wants it.
    """
    hp = learner.hyperparameters
    if hp.optimizer == "lbfgs" or not (wanted or hp.head_first):
        return None
    refusal = _refusal(learner, channels, source)
    if hp.head_first and refusal:
        log.warning("head_first: left out, for %s", refusal)
    own, validation = loaders
    train = without_views(learner, own, channels.train)
    precision = torch.float32
    if not isinstance(train, PixelLoader):
        precision = learner.precision  # of features that are kept anyway
    elif not isinstance(validation, PixelLoader):
        validation = validation.pixels
    test = as_they_are(learner, channels.test)
    test_labels = padded(channels.test.labels, learner.classes)
    return Probe(train, validation, test, test_labels, precision, refusal)


def _refusal(learner: Learner, channels: Channels, source: Source) -> str:
    hp = learner.hyperparameters
    head = head_of(learner.network)
    if hp.head_first and not isinstance(head, nn.Linear):
        return f"the head of {hp.model} is not one linear layer"
    if hp.weights == "none" and not source.earlier and not hp.head_first:
        return "the first weights are random"
    if learner.observed:
        return "a hook observes the network"
    obstacle = size_obstacle(hp.model, len(channels.train), width_of(head))
    if obstacle:
        return f"the head {obstacle}"
    return ""


def without_views(learner: Learner, loader: Loader, photos: Photos) -> Loader:
    """A loader of the same photos as they are, of the full size; this one where it gives those."""
    pixels = loader if isinstance(loader, PixelLoader) else loader.pixels
    if not pixels.preset and pixels.side == learner.preprocessing.crop:
        return loader
    return as_they_are(learner, photos)


def as_they_are(learner: Learner, photos: Photos) -> PixelLoader:
    """Photos without augmentation. They are read once, so that none stays in memory."""
    preprocessing = learner.preprocessing
    arrays = PhotoArrays(photos.paths, preprocessing.pixels, preprocessing.crop, keep=False)
    return PixelLoader(arrays, learner.normalize, learner.device, preprocessing.crop)


def run_probe(
    learner: Learner,
    probe: Probe,
    train_labels: torch.Tensor,
    validation_labels: torch.Tensor,
    stop: Callable[[], bool],
) -> tuple[dict[str, object], Solved | None]:
    """The content of linear_head.json, and the solved head; none when stopped, or refused.

    Labels: int64 [N, K], padded. The network stays as it is.
    """
    if probe.refusal:
        return {"left_out": probe.refusal}, None
    try:
        solved = solve_head(
            learner,
            probe.train,
            train_labels,
            probe.validation,
            validation_labels,
            stop,
            probe.precision,
        )
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # torch's
        log.warning("the linear head is left out (%s)", error)
        return {"left_out": "the features are not numbers"}, None
    if solved is None:
        return {}, None
    accuracy = {"validation": solved.chosen.validation_accuracy}
    if len(probe.test_labels):
        accuracy["test"] = _test_accuracy(learner, probe, solved, stop)
    counts = {"train": len(train_labels), "validation": len(validation_labels)}
    counts["test"] = len(probe.test_labels)
    _keep(learner, probe, solved, counts)
    return solved.document() | {"accuracy": accuracy}, solved


def _keep(learner: Learner, probe: Probe, solved: Solved, counts: Mapping[str, int]) -> None:
    """Keep the features for the end of the training, where they fit into a little memory.

    The main process, which works alone then, has those of all processes. counts: photos by channel.
    """
    context = learner.context
    width = width_of(head_of(learner.network))
    if sum(counts.values()) * width * FLOAT32_BYTES > KEPT_BYTES:
        return
    for channel, rows in solved.inputs.items():
        if not counts[channel]:
            continue
        owners = probe.train.owners if channel == "train" else None
        every = context.gather(rows, dealt_in_order(learner, counts[channel], owners))
        if context.is_main_process:
            probe.kept[channel] = every.cpu()


def _test_accuracy(
    learner: Learner, probe: Probe, solved: Solved, stop: Callable[[], bool]
) -> float | None:
    """The share of the test photos with the right answer; None when stopped."""
    rows = head_inputs(learner, probe.test, stop, probe.precision)
    if rows is None:
        return None
    solved.inputs["test"] = rows
    chosen = solved.chosen
    dealt = dealt_in_order(learner, len(probe.test_labels))
    logits = functional.linear(rows, chosen.weight, chosen.bias)
    every = learner.context.gather(logits, dealt).cpu()
    targets = multi_hot(probe.test_labels, learner.classes)
    correct = is_correct(every, targets, learner.hyperparameters.multi_label)
    return float(correct.double().mean())
