"""Which photos a step takes."""

import numpy as np
import torch
from numpy.typing import NDArray


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
