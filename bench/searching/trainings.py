"""Trainings of many configurations at once, in one process: heads on features, small networks.

All configurations see the same batches. Their weights lie in one tensor, and each has settings of
its own. The optimizers are torch's SGD and AdamW, written for such tensors.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.func import functional_call, vmap
from torch.nn import functional

WARMUP_SHARE = 0.1  # of all steps, for a cosine schedule
# AdamW's
BETA_1 = 0.9
BETA_2 = 0.999
EPS = 1e-8

Weights = dict[str, torch.Tensor]  # each [K, ...]


@dataclass(frozen=True)
class Photos:
    """Inputs [N, ...] and labels [N] to learn from, and those to validate on."""

    train: torch.Tensor
    train_labels: torch.Tensor
    validation: torch.Tensor
    validation_labels: torch.Tensor


@dataclass(frozen=True)
class Settings:
    """K configurations, each tensor [K]. optimizer: sgd or adamw; schedule: constant or cosine."""

    lr: torch.Tensor
    weight_decay: torch.Tensor
    momentum: torch.Tensor
    label_smoothing: torch.Tensor
    batch_size: int
    optimizer: str
    schedule: str


def learn(
    network: torch.nn.Module, photos: Photos, settings: Settings, epochs: int, seed: int
) -> torch.Tensor:
    """The validation accuracies [K, epochs]; all configurations start from the same weights."""
    count = len(settings.lr)
    weights = {
        name: value.detach().expand(count, *value.shape).clone().requires_grad_()
        for name, value in network.named_parameters()
    }

    def answers(inputs: torch.Tensor) -> torch.Tensor:
        def one(values: Weights) -> torch.Tensor:
            logits: torch.Tensor = functional_call(network, values, (inputs,))
            return logits

        every: torch.Tensor = vmap(one)(weights)
        return every

    step = _stepper(weights, settings)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(photos.train_labels), generator=generator)
    steps = epochs * math.ceil(len(order) / settings.batch_size)
    done = 0
    curve = []
    for _ in range(epochs):
        order = torch.randperm(len(photos.train_labels), generator=generator)
        for indices in torch.split(order, settings.batch_size):
            logits = answers(photos.train[indices])
            loss = _loss(logits, photos.train_labels[indices], settings.label_smoothing)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            step(_share(settings.schedule, done, steps))
            done += 1
        with torch.no_grad():
            found = answers(photos.validation).argmax(-1) == photos.validation_labels
        curve.append(found.float().mean(-1))
    return torch.stack(curve, dim=1)


def _share(schedule: str, done: int, steps: int) -> float:
    """The share of the learning rate at a step."""
    if schedule == "constant":
        return 1.0
    warm = max(1, round(WARMUP_SHARE * steps))
    if done < warm:
        return (done + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (done - warm) / max(1, steps - warm)))


def _loss(logits: torch.Tensor, labels: torch.Tensor, smoothing: torch.Tensor) -> torch.Tensor:
    """The sum over the configurations, so that each gets the gradient of its own mean."""
    known = functional.log_softmax(logits, dim=-1)  # [K, B, C]
    right = known.gather(2, labels.expand(len(logits), -1)[..., None])[..., 0].mean(-1)
    spread = known.mean(-1).mean(-1)
    return -((1 - smoothing) * right + smoothing * spread).sum()


def _stepper(weights: Weights, settings: Settings) -> Callable[[float], None]:
    first = {name: torch.zeros_like(value) for name, value in weights.items()}
    second = {name: torch.zeros_like(value) for name, value in weights.items()}
    taken = 0

    def per_weight(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return values.view(-1, *[1] * (weight.dim() - 1))

    @torch.no_grad()
    def step(share: float) -> None:
        nonlocal taken
        taken += 1
        for name, weight in weights.items():
            gradient = weight.grad
            assert gradient is not None
            lr = share * per_weight(settings.lr, weight)
            decay = per_weight(settings.weight_decay, weight)
            if settings.optimizer == "sgd":
                first[name].mul_(per_weight(settings.momentum, weight)).add_(
                    gradient + decay * weight
                )
                weight.sub_(lr * first[name])
            else:
                first[name].lerp_(gradient, 1 - BETA_1)
                second[name].lerp_(gradient.square(), 1 - BETA_2)
                root = (second[name] / (1 - BETA_2**taken)).sqrt_().add_(EPS)
                weight.mul_(1 - lr * decay)
                weight.sub_(lr * (first[name] / (1 - BETA_1**taken)) / root)
            weight.grad = None

    return step
