"""The optimizer and the learning rate of each epoch."""

import math
from collections.abc import Iterable, Sequence

import torch

from recipes.hyperparameters import Hyperparameters
from train.data.photo_index import MISSING, Labels


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], hp: Hyperparameters
) -> torch.optim.Optimizer:
    """The optimizer named by the hyperparameters over these parameters."""
    shared = {"lr": hp.lr, "weight_decay": hp.weight_decay}
    one_kernel = shared | {"fused": True}
    betas = (hp.beta_1, hp.beta_2)
    match hp.optimizer:
        case "sgd":
            return torch.optim.SGD(parameters, momentum=hp.momentum, **one_kernel)
        case "nag":
            return torch.optim.SGD(
                parameters, momentum=hp.momentum, nesterov=hp.momentum > 0, **one_kernel
            )
        case "adam":
            return torch.optim.Adam(parameters, betas=betas, eps=hp.eps, **one_kernel)
        case "adamw":
            return torch.optim.AdamW(parameters, betas=betas, eps=hp.eps, **one_kernel)
        case "adadelta":
            return torch.optim.Adadelta(parameters, rho=hp.gamma, eps=hp.eps, **shared)
        case _:
            return torch.optim.RMSprop(
                parameters, momentum=hp.momentum, alpha=hp.gamma, eps=hp.eps, **shared
            )


def learning_rate(hp: Hyperparameters, epoch: int, validation_losses: Sequence[float]) -> float:
    """The rate of an epoch (from 1), a pure function of the settings and the validation losses so far."""
    if epoch <= hp.warmup_epochs:
        return hp.lr * epoch / (hp.warmup_epochs + 1)
    match hp.schedule:
        case "step":
            return hp.lr * hp.lr_scheduler_factor ** sum(
                epoch > step for step in hp.lr_scheduler_step
            )
        case "exponential":
            return hp.lr * hp.lr_scheduler_factor ** ((epoch - 1) / max(1, hp.epochs - 1))
        case "cosine":
            done = (epoch - 1 - hp.warmup_epochs) / max(1, hp.epochs - hp.warmup_epochs)
            return hp.lr * 0.5 * (1 + math.cos(math.pi * done))
        case "plateau":
            return hp.lr * hp.lr_scheduler_factor ** _plateaus(
                validation_losses, hp.lr_scheduler_patience
            )
        case _:
            return hp.lr


def _plateaus(losses: Sequence[float], patience: int) -> int:
    """How many times `patience` epochs in a row brought no new lowest loss."""
    lowest, since, plateaus = math.inf, 0, 0
    for loss in losses:
        lowest, since = (loss, 0) if loss < lowest else (lowest, since + 1)
        if since == patience:
            since, plateaus = 0, plateaus + 1
    return plateaus


def class_weights(
    kind: str, labels: Sequence[tuple[int, ...]], classes: int
) -> torch.Tensor | None:
    """Weight of each class in the loss, float32 [classes]: inverse to its photos, 1 on average over all labels."""
    if kind == "none":
        return None
    values = Labels.of(labels).values
    every = torch.from_numpy(values[values != MISSING])
    counts = torch.bincount(every, minlength=classes).float()
    return len(every) / (classes * counts.clamp(min=1))
