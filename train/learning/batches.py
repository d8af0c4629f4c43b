"""Which photos a step takes."""

import numpy as np
import torch
from numpy.typing import NDArray


def shuffled(
    count: int,
    size: int,
    generator: torch.Generator,
    at_least: int = 2,
) -> list[NDArray[np.int64]]:
    """All indices in random order, in batches.

    A last batch of fewer than `at_least` joins the one before: BatchNorm needs two photos.
    """
    order = torch.randperm(count, generator=generator).numpy()
    batches = [order[start : start + size] for start in range(0, count, size)]
    if len(batches) > 1 and len(batches[-1]) < min(at_least, size):
        batches[-2:] = [np.concatenate(batches[-2:])]
    return batches


def accumulated(
    order: list[NDArray[np.int64]], number: int, together: int
) -> tuple[int, bool, bool]:
    """Of a batch: the photos of its step of the optimizer, and whether it begins and ends it."""
    first = number - number % together
    batches = order[first : first + together]
    count = sum(len(batch) for batch in batches)
    return count, number == first, number == first + len(batches) - 1
