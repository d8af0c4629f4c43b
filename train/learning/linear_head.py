"""The head of a frozen network, solved instead of learned in steps.

Its optimum is found for several L2 penalties, and the validation photos choose among them.
"""

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from artifact.machine import memory_limit
from recipes.hyperparameters import Hyperparameters
from train.data.photos import in_order
from train.job import JobError
from train.learning.logistic import LogisticRegression
from train.learning.loop import EVALUATED_AT_ONCE, Learner, Loader, Metrics, loss_and_accuracy
from train.learning.objective import is_correct, losses, multi_hot
from train.model.trainable import head_name

# With one of these given, `optimizer: auto` descends by gradients.
GRADIENT_SETTINGS = frozenset(
    {
        "lr",
        "momentum",
        "weight_decay",
        "beta_1",
        "beta_2",
        "eps",
        "gamma",
        "schedule",
        "lr_scheduler_factor",
        "lr_scheduler_step",
        "lr_scheduler_patience",
        "warmup_epochs",
        "batch_size",
        "label_smoothing",
        "augmentation",
        "feature_views",
        "first_resolution",
        "compile",
    }
)
# Of the penalty strength / 2 * |weights|^2 beside the mean loss, over standardised features.
STRENGTHS = tuple(10 ** (-step / 2) for step in range(7))  # 1, 0.32, 0.1 … 0.001
WEAKEST = 1e-5  # down to which the path goes on while that helps
WITHOUT_VALIDATION = 10**-2.5
MOST_FEATURES = 8192  # whose covariance is quick to factorise
MEMORY_SHARE = 0.4  # of this process's memory, for features and what the solver makes of them
COPIES = 3  # of the features, at the peak

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
    """All strengths' heads, and the one that the network has now."""

    path: list[Choice]
    chosen: Choice

    def metrics(self) -> Metrics:
        return {
            "train_loss": self.chosen.train_loss,
            "train_accuracy": self.chosen.train_accuracy,
        }

    def document(self) -> dict[str, object]:
        """For linear_head.json."""
        return {
            "chosen": self.chosen.figures(),
            "path": [choice.figures() for choice in self.path],
        }


def choose_optimizer(
    hp: Hyperparameters, given: Set[str], network: nn.Module, photos: int, observed: bool
) -> Hyperparameters:
    """The settings with `auto` replaced; those of a solved head are fitted to it.

    given: the settings that the user gave. photos: of the train channel. observed: a hook or a
    profile watches steps. JobError where lbfgs is asked for and cannot be had.
    """
    if hp.optimizer not in ("auto", "lbfgs"):
        return hp
    obstacle = _obstacle(hp, network, photos, observed)
    if hp.optimizer == "auto" and (obstacle or given & GRADIENT_SETTINGS):
        return dataclasses.replace(hp, optimizer="adamw")
    if obstacle:
        raise JobError(f"hyperparameter optimizer=lbfgs {obstacle}")
    log.info(
        "optimizer: lbfgs solves the head on the centre view of each photo; "
        "epochs, schedule and augmentation are not used (optimizer=adamw learns in steps)"
    )
    return dataclasses.replace(
        hp, optimizer="lbfgs", epochs=1, lr=0.0, augmentation="none", compile=False
    )


def _obstacle(hp: Hyperparameters, network: nn.Module, photos: int, observed: bool) -> str:
    """Why the head cannot be solved, as the end of a sentence; "" where it can."""
    head = network.get_submodule(head_name(network))
    if hp.trainable not in ("head", head_name(network)):
        return "needs a frozen backbone; set trainable=head"
    if hp.head:
        return "solves one linear layer; leave the hyperparameter head empty"
    if not isinstance(head, nn.Linear):
        return f"solves a linear layer, and the head of {hp.model} is none; set optimizer=adamw"
    if hp.label_smoothing:
        return "does not smooth labels; leave label_smoothing out, or set optimizer=adamw"
    if observed:
        return "takes no steps to observe; leave debug and profile out, or set optimizer=adamw"
    gigabytes = COPIES * photos * head.in_features * 4 / 1e9
    if head.in_features > MOST_FEATURES:
        return f"takes at most {MOST_FEATURES} features; {hp.model} has {head.in_features}"
    if gigabytes * 1e9 > MEMORY_SHARE * memory_limit():
        return f"needs {gigabytes:.1f} GB of memory for the features; set optimizer=adamw"
    return ""


def solve_head(
    learner: Learner,
    train: Loader,
    train_labels: torch.Tensor,
    validation: Loader,
    validation_labels: torch.Tensor,
    stop: Callable[[], bool],
) -> Solved | None:
    """Give the network's head the best of the solved ones; None when stopped.

    Labels: int64 [N, K], padded.
    """
    features = _features(learner, train, stop)
    if features is None:
        return None
    shown = _features(learner, validation, stop)
    if shown is None:
        return None
    path: list[Choice] = []
    for choice in _path(learner, features, train_labels, shown, validation_labels, stop):
        log.info(_words(choice))
        path.append(choice)
    if learner.context.any_process(not path or stop()):
        return None
    chosen = best_of(path, len(validation_labels))
    log.info("head: the penalty %.4g is taken", chosen.strength)
    head = learner.network.get_submodule(head_name(learner.network))
    assert isinstance(head, nn.Linear)
    with torch.no_grad():
        head.weight.copy_(chosen.weight)
        if head.bias is not None:
            head.bias.copy_(chosen.bias)
    return Solved(path, chosen)


def _path(
    learner: Learner,
    features: torch.Tensor,
    labels: torch.Tensor,
    shown: torch.Tensor,
    shown_labels: torch.Tensor,
    stop: Callable[[], bool],
) -> Iterator[Choice]:
    """The head of each strength, from the strongest penalty; ends early when stopped."""
    context = learner.context
    hp = learner.hyperparameters
    order = in_order(len(labels), EVALUATED_AT_ONCE[learner.device.type])
    own = _own_rows(learner, order)
    targets = multi_hot(labels, learner.classes)
    regression = LogisticRegression(
        features,
        targets[own],
        _weights(learner, targets[own]),
        hp.multi_label,
        len(labels),
        context.sum_across,
    )
    agreed = context.agreed_stop(stop)
    shown_order = in_order(len(shown_labels), EVALUATED_AT_ONCE[learner.device.type])
    shown_targets = multi_hot(shown_labels.cpu(), learner.classes)
    tried: list[Choice] = []
    for strength in _strengths(tried, len(shown_labels)):
        if not regression.solve(strength, agreed):
            return
        weight, bias = regression.layer()
        logits = regression.logits()
        sums = torch.stack(
            [
                losses(logits, targets[own], hp.multi_label, learner.class_weights).sum(),
                is_correct(logits, targets[own], hp.multi_label).sum(),
            ]
        ).double()
        loss, accuracy = (context.sum_across(sums) / len(labels)).tolist()
        reached: tuple[float | None, float | None] = (None, None)
        if len(shown_labels):
            answers = context.gather(functional.linear(shown, weight, bias), shown_order).cpu()
            reached = loss_and_accuracy(answers, shown_targets, hp.multi_label)
        tried.append(Choice(strength, weight, bias, loss, accuracy, *reached))
        yield tried[-1]


def _strengths(tried: list[Choice], validation_photos: int) -> Iterator[float]:
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


def _own_rows(learner: Learner, order: list[Any]) -> torch.Tensor:
    """Indices of this process's photos, int64 [n]."""
    own = [torch.from_numpy(batch) for batch in learner.context.shard(order)]
    return torch.cat([torch.empty(0, dtype=torch.int64), *own]).to(learner.device)


def _features(learner: Learner, loader: Loader, stop: Callable[[], bool]) -> torch.Tensor | None:
    """The head's inputs of this process's photos, float32 [n, D]; None when stopped."""
    context = learner.context
    if context.any_process(not loader.prepare(0, stop)):
        return None
    learner.network.eval()
    order = in_order(len(loader), EVALUATED_AT_ONCE[learner.device.type])
    head = learner.network.get_submodule(head_name(learner.network))
    assert isinstance(head, nn.Linear)
    with _inputs_of(head) as rows, torch.no_grad(), learner.autocast():
        for _, inputs in loader.batches(0, context.shard(order)):
            if stop():
                break
            learner.trainable_part(*inputs)
    if context.any_process(stop()):
        return None
    none = torch.empty(0, head.in_features, device=learner.device)
    return torch.cat([none, *rows])


@contextmanager
def _inputs_of(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """The inputs of each call of a module, as float32 [N, D]."""
    rows: list[torch.Tensor] = []

    def keep(_: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        rows.append(given[0].float().clone())

    handle = module.register_forward_pre_hook(keep)
    try:
        yield rows
    finally:
        handle.remove()
