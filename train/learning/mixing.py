"""Mixup and cutmix: each photo of a batch is joined with another one, and so are their labels.

Zhang et al., "mixup" (2018); Yun et al., "CutMix" (2019). A photo's partner is the one before it in
its process's part of the batch.
"""

import math

import numpy as np
import torch

from recipes.hyperparameters import Hyperparameters

Mixed = tuple[torch.Tensor, torch.Tensor]


def mixes(hp: Hyperparameters) -> bool:
    """Whether photos are mixed, so that no features of single photos can be kept."""
    return hp.mixup > 0 or hp.cutmix > 0


def mix(
    hp: Hyperparameters,
    inputs: tuple[torch.Tensor, ...],
    targets: torch.Tensor,
    seed: tuple[int, ...],
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """The batch and its targets by the hyperparameters mixup and cutmix, one of which is above 0.

    inputs: samples alone, float [N, 3, S, S]. targets: float [N, classes]. seed: of this batch.
    """
    (samples,) = inputs
    chance = np.random.default_rng(seed)
    both = hp.mixup > 0 and hp.cutmix > 0
    cuts = chance.random() < 0.5 if both else hp.cutmix > 0
    join = _cutmix if cuts else _mixup
    alpha = hp.cutmix if cuts else hp.mixup
    joined, shares = join(samples, targets, alpha, chance)
    return (joined,), shares


def _mixup(
    samples: torch.Tensor, targets: torch.Tensor, alpha: float, chance: np.random.Generator
) -> Mixed:
    share = float(chance.beta(alpha, alpha))
    blended = torch.lerp(samples.roll(1, 0), samples, share)
    return blended, torch.lerp(targets.roll(1, 0), targets, share)


def _cutmix(
    samples: torch.Tensor, targets: torch.Tensor, alpha: float, chance: np.random.Generator
) -> Mixed:
    height, width = samples.shape[-2:]
    half = math.sqrt(1 - float(chance.beta(alpha, alpha))) / 2
    x, y = chance.random(2).tolist()
    left, right = _between(x, half, width)
    top, bottom = _between(y, half, height)
    joined = samples.clone()
    joined[..., top:bottom, left:right] = samples.roll(1, 0)[..., top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return joined, torch.lerp(targets.roll(1, 0), targets, share)


def _between(centre: float, half: float, side: int) -> tuple[int, int]:
    """The ends, in pixels, of a stretch of a side; all given as shares of it."""
    low = max(0.0, centre - half)
    high = min(1.0, centre + half)
    return round(low * side), round(high * side)
