"""TrivialAugment: one random operation of random strength on each view.

Müller and Hutter, "TrivialAugment" (2021), with its wide space as torchvision has it. The
operations are torchvision's; what is drawn comes from a view's own random numbers.
"""

from collections.abc import Callable

import torch
from torchvision.transforms.v2 import functional as operations

Image = torch.Tensor  # uint8 [3, S, S]
GREY = [127.0]  # where an operation leaves nothing
STRENGTHS = 31  # as many as the paper's


def _moved(
    image: Image, x: float = 0, y: float = 0, shear_x: float = 0, shear_y: float = 0
) -> Image:
    """Moved by pixels, sheared by degrees."""
    moved: Image = operations.affine(
        image, 0.0, [round(x), round(y)], 1.0, [shear_x, shear_y], fill=GREY
    )
    return moved


# By the strength, -1 to 1; the signs mean nothing where an operation has one direction.
OPERATIONS: tuple[Callable[[Image, float], Image], ...] = (
    lambda image, strength: image,
    lambda image, strength: _moved(image, shear_x=45 * strength),
    lambda image, strength: _moved(image, shear_y=45 * strength),
    lambda image, strength: _moved(image, x=32 / 224 * image.shape[-1] * strength),
    lambda image, strength: _moved(image, y=32 / 224 * image.shape[-2] * strength),
    lambda image, strength: operations.rotate(image, 135 * strength, fill=GREY),
    lambda image, strength: operations.adjust_brightness(image, 1 + 0.99 * strength),
    lambda image, strength: operations.adjust_saturation(image, 1 + 0.99 * strength),
    lambda image, strength: operations.adjust_contrast(image, 1 + 0.99 * strength),
    lambda image, strength: operations.adjust_sharpness(image, 1 + 0.99 * strength),
    lambda image, strength: operations.posterize(image, 8 - round(6 * abs(strength))),
    lambda image, strength: operations.solarize(image, 255 * (1 - abs(strength))),
    lambda image, strength: operations.autocontrast(image),
    lambda image, strength: operations.equalize(image),
)


def trivial_augment(views: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
    """Each view after its operation: float32 [N, 3, S, S], samples 0..255.

    chances: random numbers of the views, [N, 3], 0..1: operation, strength and sign.
    """
    changed = []
    for view, (which, strength, sign) in zip(views, chances.tolist(), strict=True):
        step = int(strength * STRENGTHS) / (STRENGTHS - 1)
        signed = min(1.0, step) * (-1 if sign < 0.5 else 1)
        operation = OPERATIONS[int(which * len(OPERATIONS))]
        changed.append(operation(view.round().to(torch.uint8), signed))
    return torch.stack(changed).float()
