"""A step's batch: which photos it takes, and how mixup and cutmix join them.

Zhang et al., "mixup" (2018); Yun et al., "CutMix" (2019). Each photo of a batch is joined with
another one, and so are their labels: in pairs of neighbours, which processes share whole. Several
learn what one does.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from recipes.hyperparameters import Hyperparameters

PAIR = 2  # photos that are joined with each other

Mixed = tuple[torch.Tensor, torch.Tensor]


def shuffled(
    count: int,
    size: int,
    generator: torch.Generator,
    at_least: int = 2,
    owners: NDArray[np.int16] | None = None,
) -> list[NDArray[np.int64]]:
    """All indices in random order, in batches.

    A last batch of fewer than `at_least` joins the one before: BatchNorm needs two photos. owners:
    the host that has each photo; each batch then has every host's share of its photos.
    """
    order = torch.randperm(count, generator=generator).numpy()
    if owners is not None:
        order = _evenly(order, owners, generator)
    batches = [order[start : start + size] for start in range(0, count, size)]
    if len(batches) > 1 and len(batches[-1]) < min(at_least, size):
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


def _evenly(
    order: NDArray[np.int64], owners: NDArray[np.int16], generator: torch.Generator
) -> NDArray[np.int64]:
    """The same indices, each host's spread over the whole: no stretch has only one host's."""
    place = np.empty(len(order))
    for host in np.unique(owners).tolist():
        own = np.flatnonzero(owners[order] == host)
        begin = torch.rand(1, generator=generator, dtype=torch.float64).item()
        place[own] = (np.arange(len(own)) + begin) / len(own)
    return order[np.argsort(place, kind="stable")]


def accumulated(
    order: list[NDArray[np.int64]], number: int, together: int
) -> tuple[int, bool, bool]:
    """Of a batch: the photos of its step of the optimizer, and whether it begins and ends it."""
    first = number - number % together
    batches = order[first : first + together]
    count = sum(len(batch) for batch in batches)
    return count, number == first, number == first + len(batches) - 1


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

    inputs: samples alone, float [N, 3, S, S]. targets: float [N, classes]. seed: of this batch, the
    same in all processes. The last photo of an odd number stays as it is.
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
    other = _partners(samples)
    blended = torch.lerp(samples[other], samples, share)
    return blended, torch.lerp(targets[other], targets, share)


def _cutmix(
    samples: torch.Tensor, targets: torch.Tensor, alpha: float, chance: np.random.Generator
) -> Mixed:
    height, width = samples.shape[-2:]
    half = math.sqrt(1 - float(chance.beta(alpha, alpha))) / 2
    x, y = chance.random(2).tolist()
    left, right = _between(x, half, width)
    top, bottom = _between(y, half, height)
    other = _partners(samples)
    joined = samples.clone()
    joined[..., top:bottom, left:right] = samples[other, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return joined, torch.lerp(targets[other], targets, share)


def _partners(samples: torch.Tensor) -> torch.Tensor:
    """The index of each photo's partner, int64 [N]: 1, 0, 3, 2 and so on."""
    count = len(samples)
    own = torch.arange(count, device=samples.device)
    return (own ^ 1).clamp(max=count - 1)


def _between(centre: float, half: float, side: int) -> tuple[int, int]:
    """The ends, in pixels, of a stretch of a side; all given as shares of it."""
    low = max(0.0, centre - half)
    high = min(1.0, centre + half)
    return round(low * side), round(high * side)
