"""Sizes of photos that a network can see, near one that it cannot."""

import torch

from artifact.export import check_exportable
from artifact.networks.network import build

# Sides of a network's patches, and of the windows that it lays over them.
STEPS = (14, 16, 28, 32, 56, 64, 112, 224)
LARGEST = 2048  # pixels, as of the hyperparameter


def near_sides(architecture: str, side: int) -> list[int]:
    """The nearest smaller and larger side that fit, in pixels; those that are found by trying.

    The trials cost no memory, and most take a tenth of a second.
    """
    smaller = {side // step * step for step in STEPS}
    larger = {step + side // step * step for step in STEPS}
    tried = [
        [at for at in sorted(smaller, reverse=True) if 0 < at < side],
        [at for at in sorted(larger) if side < at <= LARGEST],
    ]
    found = [next((at for at in sides if _fits(architecture, at)), None) for sides in tried]
    return [at for at in found if at is not None]


def _fits(architecture: str, side: int) -> bool:
    try:
        with torch.device("meta"):  # shapes without values
            check_exportable(build(architecture, 2, (), side, drawn=False), side)
    except (RuntimeError, ValueError, AssertionError, NotImplementedError):
        return False
    return True


def advice(architecture: str, side: int) -> str:
    """What to set in place of a side that does not fit, as the end of a sentence."""
    sides = near_sides(architecture, side)
    if not sides:
        return "set another image_size"
    return f"set image_size={' or '.join(map(str, sides))}"
