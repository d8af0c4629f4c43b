"""The optimizer, the learning rate of each epoch, and the weight of each class in the loss."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from recipes.hyperparameters import Hyperparameters
from train.data.photo_index import MISSING, Labels


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter] | list[dict[str, Any]], hp: Hyperparameters
) -> torch.optim.Optimizer:
    """The optimizer that the hyperparameters name, over these parameters, or groups of them."""
    decay = hp.weight_decay
    betas = (hp.beta_1, hp.beta_2)
    # fused: one kernel for all parameters. Adadelta and RMSprop have none.
    match hp.optimizer:
        case "sgd" | "nag" | "lbfgs":  # lbfgs takes no step: linear_head.py solves the head
            # torch refuses Nesterov's way without momentum; then it is plain SGD
            nesterov = hp.optimizer == "nag" and hp.momentum > 0
            return torch.optim.SGD(
                parameters,
                hp.lr,
                momentum=hp.momentum,
                weight_decay=decay,
                nesterov=nesterov,
                fused=True,
            )
        case "adam":
            return torch.optim.Adam(
                parameters, hp.lr, betas=betas, eps=hp.eps, weight_decay=decay, fused=True
            )
        case "adamw":
            return torch.optim.AdamW(
                parameters, hp.lr, betas=betas, eps=hp.eps, weight_decay=decay, fused=True
            )
        case "adadelta":
            return torch.optim.Adadelta(
                parameters, hp.lr, rho=hp.gamma, eps=hp.eps, weight_decay=decay
            )
        case _:
            return torch.optim.RMSprop(
                parameters,
                hp.lr,
                alpha=hp.gamma,
                eps=hp.eps,
                weight_decay=decay,
                momentum=hp.momentum,
            )


def learning_rate(hp: Hyperparameters, epoch: int, validation_losses: Sequence[float]) -> float:
    """The rate of an epoch, from 1; it depends on the settings and the losses so far alone."""
    if epoch <= hp.warmup_epochs:
        return hp.lr * epoch / (hp.warmup_epochs + 1)
    return hp.lr * _schedule(hp, epoch, validation_losses)


def _schedule(hp: Hyperparameters, epoch: int, validation_losses: Sequence[float]) -> float:
    """The factor of the base rate after the warm-up."""
    factor = hp.lr_scheduler_factor
    match hp.schedule:
        case "step":
            passed = sum(epoch > step for step in hp.lr_scheduler_step)
            return math.pow(factor, passed)
        case "exponential":
            return math.pow(factor, (epoch - 1) / max(1, hp.epochs - 1))
        case "cosine":
            done = (epoch - 1 - hp.warmup_epochs) / (hp.epochs - hp.warmup_epochs)
            return 0.5 * (1 + math.cos(math.pi * done))
        case "plateau":
            return math.pow(factor, _plateaus(validation_losses, hp.lr_scheduler_patience))
        case _:
            return 1.0


def _plateaus(losses: Sequence[float], patience: int) -> int:
    """How many times `patience` epochs in a row brought no new lowest loss."""
    lowest = math.inf
    epochs_since = 0
    plateaus = 0
    for loss in losses:
        epochs_since += 1
        if loss < lowest:
            lowest = loss
            epochs_since = 0
        if epochs_since == patience:
            plateaus += 1
            epochs_since = 0
    return plateaus


def class_weights(
    kind: str, labels: Sequence[tuple[int, ...]], classes: int
) -> torch.Tensor | None:
    """The weight of each class in the loss, float32 [classes]; None for kind "none".

    Inverse to the number of the class's photos, and 1 on average over all labels.
    """
    if kind == "none":
        return None
    values = Labels.of(labels).values
    every = torch.from_numpy(values[values != MISSING])
    counts = torch.bincount(every, minlength=classes).float()
    return len(every) / (classes * counts.clamp(min=1))
