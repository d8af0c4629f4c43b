"""The optimizer, the learning rate of each epoch and layer, and the classes' weights in the loss.

Features of early layers are general, those of late ones are the old task's (Howard and Ruder,
"Universal Language Model Fine-tuning", 2018): earlier layers may learn at a lower rate.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from recipes.hyperparameters import Hyperparameters
from train.data.photo_index import MISSING, Labels

SCALE = "lr_scale"  # of a group: the factor of the learning rate


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


def parameter_groups(network: nn.Module, layer_decay: float) -> list[dict[str, Any]]:
    """The trainable parameters for an optimizer, with a factor of the rate for each group.

    The last block has the factor 1, each one in front of it `layer_decay` times the next one's.
    """
    if layer_decay == 1:
        return [{"params": [value for value in network.parameters() if value.requires_grad]}]
    found = blocks(network)
    groups: list[dict[str, Any]] = []
    for place, block in enumerate(found):
        trainable = [value for value in block if value.requires_grad]
        if trainable:
            scale = layer_decay ** (len(found) - 1 - place)
            groups.append({"params": trainable, SCALE: scale})
    return groups


def blocks(network: nn.Module) -> list[list[nn.Parameter]]:
    """All parameters of a network, block by block in the order of the data.

    A block is a part that no list of modules holds, or one entry of such a list. What has only
    vectors, as a normalisation has, belongs to the block before it. The first block has what no
    part holds, such as the positions of a transformer.
    """
    found: list[list[nn.Parameter]] = [[]]
    taken: set[int] = set()
    for unit in _units(network):
        own = [value for value in unit.parameters() if id(value) not in taken]
        taken |= {id(value) for value in own}
        if any(value.ndim > 1 for value in own) and found[-1]:
            found.append(own)
        else:
            found[-1] += own
    found[0] += [value for value in network.parameters() if id(value) not in taken]
    return found


def _units(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from child.children()
        elif any(isinstance(part, (nn.Sequential, nn.ModuleList)) for part in child.children()):
            yield from _units(child)
        else:
            yield child
