"""A linear head on a network's features, solved instead of learned in steps.

Its optimum is found for several L2 penalties, and the validation photos choose among them.
"""

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from train.data.loader import PixelLoader
from train.device import autocast
from train.distributed.context import Owners
from train.learning.logistic import LogisticRegression
from train.learning.loop import Learner, Loader, Metrics, dealt_in_order, loss_and_accuracy
from train.learning.objective import is_correct, losses, multi_hot
from train.model.trainable import head_name

# Of the penalty strength / 2 * |weights|^2 beside the mean loss, over standardised features.
STRENGTHS = tuple(10 ** (-step / 2) for step in range(7))  # 1, 0.32, 0.1 … 0.001
WEAKEST = 1e-5  # down to which the path goes on while that helps
WITHOUT_VALIDATION = 10**-2.5
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """One strength's head and what it reaches; validation's are None without such photos."""

    strength: float
    weight: torch.Tensor  # [classes, D]
    bias: torch.Tensor  # [classes]
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None

    def figures(self) -> dict[str, float | None]:
        names = [entry.name for entry in dataclasses.fields(self)]
        return {name: getattr(self, name) for name in names if name not in ("weight", "bias")}


@dataclass(frozen=True)
class Solved:
    """All strengths' heads, and the one that the network has now.

    inputs: the features that they were solved on, this process's rows [n, D] by channel.
    precision: that the backbone computed them in.
    """

    path: list[Choice]
    chosen: Choice
    inputs: dict[str, torch.Tensor]
    precision: torch.dtype

    def metrics(self) -> Metrics:
        return {
            "train_loss": self.chosen.train_loss,
            "train_accuracy": self.chosen.train_accuracy,
        }

    def document(self) -> dict[str, object]:
        """For linear_head.json."""
        return {
            "precision": str(self.precision).removeprefix("torch."),
            "chosen": self.chosen.figures(),
            "path": [choice.figures() for choice in self.path],
        }

    def reached(self) -> Metrics:
        """What the chosen head reaches on the validation photos, named as an epoch's metrics."""
        return {
            "validation_loss": self.chosen.validation_loss,
            "validation_accuracy": self.chosen.validation_accuracy,
        }


def solve_head(
    learner: Learner,
    train: Loader,
    train_labels: torch.Tensor,
    validation: Loader,
    validation_labels: torch.Tensor,
    stop: Callable[[], bool],
    precision: torch.dtype,
) -> Solved | None:
    """The best of the solved heads, and all of them; None when stopped. The network keeps its own.

    Labels: int64 [N, K], padded. precision: of the features; that of kept ones is the learner's.
    LinAlgError where the features are not numbers.
    """
    features = head_inputs(learner, train, stop, precision)
    if features is None:
        return None
    shown = head_inputs(learner, validation, stop, precision)
    if shown is None:
        return None
    own = _own_rows(learner, len(train_labels), train.owners)
    targets = multi_hot(train_labels, learner.classes)[own]
    count = len(train_labels)
    path: list[Choice] = []
    for choice in _path(learner, features, targets, count, shown, validation_labels, stop):
        log.info(_words(choice))
        path.append(choice)
    if learner.context.any_process(not path or stop()):
        return None
    chosen = best_of(path, len(validation_labels))
    log.info("head: the penalty %.4g is taken", chosen.strength)
    return Solved(path, chosen, {"train": features, "validation": shown}, precision)


def take_over(learner: Learner, chosen: Choice) -> None:
    """Give the network, whose head is one linear layer, the solved one."""
    head = head_of(learner.network)
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(chosen.weight)
        if head.bias is not None:
            head.bias.copy_(chosen.bias)


def _path(
    learner: Learner,
    features: torch.Tensor,
    targets: torch.Tensor,
    count: int,
    shown: torch.Tensor,
    shown_labels: torch.Tensor,
    stop: Callable[[], bool],
) -> Iterator[Choice]:
    """The head of each strength, from the strongest penalty; ends early when stopped.

    features, targets, shown: those of this process's photos. count: training photos of all.
    """
    context = learner.context
    several = learner.hyperparameters.multi_label
    weights = _weights(learner, targets)
    regression = LogisticRegression(features, targets, weights, several, count, context.sum_across)
    agreed = context.agreed_stop(stop)
    tried: list[Choice] = []
    for strength in strengths(tried, len(shown_labels)):
        if not regression.solve(strength, agreed):
            return
        weight, bias = regression.layer()
        logits = regression.logits()
        lost = losses(logits, targets, several, learner.class_weights).sum()
        correct = is_correct(logits, targets, several).sum()
        sums = context.sum_across(torch.stack([lost, correct]).double())
        loss, accuracy = (sums / count).tolist()
        reached = _reached(learner, functional.linear(shown, weight, bias), shown_labels)
        tried.append(Choice(strength, weight, bias, loss, accuracy, *reached))
        yield tried[-1]


def _reached(
    learner: Learner, logits: torch.Tensor, labels: torch.Tensor
) -> tuple[float | None, float | None]:
    """Loss and accuracy on the validation photos; None without any.

    logits: those of this process's photos, [m, classes].
    """
    if not len(labels):
        return None, None
    every = learner.context.gather(logits, dealt_in_order(learner, len(labels))).cpu()
    targets = multi_hot(labels.cpu(), learner.classes)
    return loss_and_accuracy(every, targets, learner.hyperparameters.multi_label)


def strengths(tried: list[Choice], validation_photos: int) -> Iterator[float]:
    """STRENGTHS, and weaker ones while the weakest is the best."""
    if not validation_photos:
        yield WITHOUT_VALIDATION
        return
    yield from STRENGTHS
    while best_of(tried, validation_photos) is tried[-1] and tried[-1].strength > 2 * WEAKEST:
        yield tried[-1].strength / math.sqrt(10)


def best_of(path: list[Choice], photos: int) -> Choice:
    """The lowest validation loss among the accuracies within one standard error of the best.

    photos: of the validation channel; without any there is one strength.
    """
    if not photos:
        return path[-1]
    best = max(choice.validation_accuracy or 0.0 for choice in path)
    error = math.sqrt(best * (1 - best) / photos)
    equal = [choice for choice in path if (choice.validation_accuracy or 0.0) >= best - error]
    return min(equal, key=lambda choice: choice.validation_loss or 0.0)


def _words(choice: Choice) -> str:
    words = f"head: penalty {choice.strength:.4g}, train_accuracy {choice.train_accuracy:.4f}"
    if choice.validation_accuracy is None:
        return words
    return (
        f"{words}, validation_accuracy {choice.validation_accuracy:.4f}, "
        f"validation_loss {choice.validation_loss:.4f}"
    )


def _weights(learner: Learner, targets: torch.Tensor) -> torch.Tensor:
    """The weight of each photo's loss, float32 [N, 1]; with several labels [N, classes]."""
    if learner.hyperparameters.multi_label:
        weights = torch.ones_like(targets)
        if learner.class_weights is not None:
            weights = weights * learner.class_weights
        return weights
    if learner.class_weights is None:
        return torch.ones_like(targets[:, :1])
    return (targets @ learner.class_weights)[:, None]


def _own_rows(learner: Learner, count: int, owners: Owners) -> torch.Tensor:
    """Indices of this process's photos of a channel, int64 [n]. owners: as of `deal`."""
    dealt = dealt_in_order(learner, count, owners)[learner.context.rank]
    own = [torch.from_numpy(batch) for batch in dealt]
    return torch.cat([torch.empty(0, dtype=torch.int64), *own]).to(learner.device)


def head_of(network: nn.Module) -> nn.Module:
    return network.get_submodule(head_name(network))


def width_of(head: nn.Module) -> int:
    """The features that a head takes: those of its first layer."""
    for part in head.modules():
        if isinstance(part, nn.Linear):
            return part.in_features
        if isinstance(part, nn.Conv2d):
            return part.in_channels
    raise ValueError("a head without a linear layer or a convolution")


def head_inputs(
    learner: Learner,
    loader: Loader,
    stop: Callable[[], bool],
    precision: torch.dtype,
) -> torch.Tensor | None:
    """The head's inputs of this process's photos, float32 [n, D]; None when stopped.

    precision: that they are computed in.
    """
    context = learner.context
    if context.any_process(not loader.prepare(0, stop)):
        return None
    learner.network.eval()
    whole = learner.trainable_part
    if isinstance(loader, PixelLoader):
        whole = learner.network
    dealt = dealt_in_order(learner, len(loader), loader.owners)
    head = head_of(learner.network)
    with _inputs_of(head) as rows, torch.no_grad(), autocast(learner.device, precision):
        for _, inputs in loader.batches(0, dealt[context.rank]):
            if stop():
                break
            whole(*inputs)
    if context.any_process(stop()):
        return None
    none = torch.empty(0, width_of(head), device=learner.device)
    return torch.cat([none, *rows])


@contextmanager
def _inputs_of(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """The inputs of each call of a module, as float32 [N, D].

    Of a convolution that classifies, the mean over the places.
    """
    rows: list[torch.Tensor] = []

    def keep(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        found = given[0].float()
        rows.append(found.flatten(2).mean(2) if found.ndim > 2 else found.clone())

    handle = module.register_forward_pre_hook(keep)
    try:
        yield rows
    finally:
        handle.remove()
