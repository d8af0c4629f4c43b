"""What a linear head on the first weights reaches, beside every training.

A fine-tuning is worth its time where it gets above this. The head is solved as
`optimizer: lbfgs` solves it, before the first epoch, and costs one pass over the photos.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from train.data.channels import Channels, Photos
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays, in_order
from train.learning.choose_optimizer import size_obstacle
from train.learning.linear_head import (
    Solved,
    head_inputs,
    head_of,
    solve_head,
    width_of,
)
from train.learning.loop import EVALUATED_AT_ONCE, Learner, Loader
from train.learning.objective import is_correct, multi_hot, padded
from train.model.weights import Source

KEPT_BYTES = 256_000_000  # of features, for the whole training

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    """Where the features come from. Labels are padded, int64 [N, K].

    train: photos as they are, or their kept features in the first view. refusal: why no head is
    solved, as the end of a sentence; "" where one is. kept: the features of the first weights,
    float32 [N, D] by channel, on the CPU; empty with several processes, and where they are large.
    """

    train: Loader
    test: PixelLoader
    test_labels: torch.Tensor
    refusal: str = ""
    kept: dict[str, torch.Tensor] = field(default_factory=dict)


def make_probe(
    learner: Learner, channels: Channels, train: Loader, source: Source, wanted: bool
) -> Probe | None:
    """The probe of a training whose loader is `train`; None where it is not wanted.

    Nothing is decoded yet. A training that starts from the solved head always wants it.
    """
    hp = learner.hyperparameters
    if hp.optimizer == "lbfgs" or not (wanted or hp.head_first):
        return None
    refusal = _refusal(learner, channels, source)
    if hp.head_first and refusal:
        log.warning("head_first: left out, for %s", refusal)
    plain_side = learner.preprocessing.crop
    if isinstance(train, PixelLoader) and (train.preset or train.side != plain_side):
        train = as_they_are(learner, channels.train)
    test = as_they_are(learner, channels.test)
    return Probe(train, test, padded(channels.test.labels, learner.classes), refusal)


def _refusal(learner: Learner, channels: Channels, source: Source) -> str:
    hp = learner.hyperparameters
    head = head_of(learner.network)
    if hp.head_first and not isinstance(head, nn.Linear):
        return f"the head of {hp.model} is not one linear layer"
    if hp.weights == "none" and not source.earlier and not hp.head_first:
        return "the first weights are random"
    if learner.hook:
        return "a hook observes the network"
    obstacle = size_obstacle(hp.model, len(channels.train), width_of(head))
    if obstacle:
        return f"the head {obstacle}"
    return ""


def as_they_are(learner: Learner, photos: Photos) -> PixelLoader:
    """Photos without augmentation. They are read once, so that none stays in memory."""
    preprocessing = learner.preprocessing
    arrays = PhotoArrays(photos.paths, preprocessing.pixels, preprocessing.crop, keep=False)
    return PixelLoader(arrays, learner.normalize, learner.device, preprocessing.crop)


def run_probe(
    learner: Learner,
    probe: Probe,
    train_labels: torch.Tensor,
    validation: Loader,
    validation_labels: torch.Tensor,
    stop: Callable[[], bool],
) -> tuple[dict[str, object], Solved | None]:
    """The content of linear_head.json, and the solved head; none when stopped, or refused.

    Labels: int64 [N, K], padded. The network stays as it is.
    """
    if probe.refusal:
        return {"left_out": probe.refusal}, None
    try:
        solved = solve_head(learner, probe.train, train_labels, validation, validation_labels, stop)
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]  # torch's
        log.warning("the linear head is left out (%s)", error)
        return {"left_out": "the features are not numbers"}, None
    if solved is None:
        return {}, None
    accuracy = {"validation": solved.chosen.validation_accuracy}
    if len(probe.test_labels):
        accuracy["test"] = _test_accuracy(learner, probe, solved, stop)
    _keep(learner, probe, solved)
    return solved.document() | {"accuracy": accuracy}, solved


def _keep(learner: Learner, probe: Probe, solved: Solved) -> None:
    """Keep the features for the end of the training, where they fit into a little memory."""
    size = sum(rows.nbytes for rows in solved.inputs.values())
    if learner.context.size == 1 and size <= KEPT_BYTES:
        for channel, rows in solved.inputs.items():
            probe.kept[channel] = rows.cpu()


def _test_accuracy(
    learner: Learner, probe: Probe, solved: Solved, stop: Callable[[], bool]
) -> float | None:
    """The share of the test photos with the right answer; None when stopped."""
    rows = head_inputs(learner, probe.test, stop, learner.network)
    if rows is None:
        return None
    solved.inputs["test"] = rows
    chosen = solved.chosen
    order = in_order(len(probe.test_labels), EVALUATED_AT_ONCE[learner.device.type])
    logits = functional.linear(rows, chosen.weight, chosen.bias)
    every = learner.context.gather(logits, order).cpu()
    targets = multi_hot(probe.test_labels, learner.classes)
    correct = is_correct(every, targets, learner.hyperparameters.multi_label)
    return float(correct.double().mean())
