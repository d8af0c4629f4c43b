"""Random views of training photos, made for a whole batch at once on the device.

A photo comes squeezed to a square, whole; its aspect tells how to cut crops that are not distorted. A view follows
from its photo's numbers alone, whoever shares the batch: the same view in every process and on every machine.
"""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Preset:
    """Bounds of the random changes. Colours are shares of the full range, angles degrees, shear a slope."""

    area: tuple[float, float] = (0.5, 1.0)
    aspect: tuple[float, float] = (0.8, 1.25)
    hue: float = 0.0
    saturation: float = 0.0
    lightness: float = 0.0
    angle: float = 0.0
    shear: float = 0.0
    erase: float = 0.0


# the first three as SageMaker's built-in image classification defines them: 36 of 180, 50 of 255, 10 degrees, 0.1
PRESETS = {
    "crop": Preset(),
    "crop_color": Preset(hue=72.0, saturation=50 / 255, lightness=50 / 255),
    "crop_color_transform": Preset(
        hue=72.0, saturation=50 / 255, lightness=50 / 255, angle=10.0, shear=0.1
    ),
    "strong": Preset(
        area=(0.25, 1.0), hue=36.0, saturation=0.4, lightness=0.3, angle=20.0, shear=0.2, erase=0.25
    ),
}


NUMBERS = 15  # that a view is made from


def numbers(count: int, seed: int, view: int) -> torch.Tensor:
    """What chance says of one view of each of `count` photos: float32 [count, NUMBERS], 0..1."""
    return torch.rand(
        count, NUMBERS, generator=torch.Generator().manual_seed(seed * 1_000_003 + view)
    )


def augment(
    pixels: torch.Tensor, aspects: torch.Tensor, side: int, preset: Preset, chances: torch.Tensor
) -> torch.Tensor:
    """Views of photos: uint8 [N, R, R, 3] squeezed squares to float32 [N, 3, side, side], samples 0..255.

    aspects: width / height of each photo, float32 [N]; chances: the photos' `numbers`, [N, NUMBERS]; both on the CPU.
    """
    draw = _Draw(chances)
    grid = torch.nn.functional.affine_grid(
        _crops(draw, aspects, preset).to(pixels.device),
        [len(pixels), 3, side, side],
        align_corners=False,
    )
    samples = pixels.permute(0, 3, 1, 2).float()
    views = torch.nn.functional.grid_sample(
        samples, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    if preset.hue or preset.saturation or preset.lightness:
        views = _recolour(views, draw, preset)
    if preset.erase:
        views = _erase(views, draw, preset.erase)
    return views


class _Draw:
    """Takes one column of the photos' numbers after the other."""

    def __init__(self, chances: torch.Tensor):
        self.columns = iter(chances.unbind(dim=1))

    def uniform(self, low: float, high: float) -> torch.Tensor:
        return low + (high - low) * next(self.columns)


def _crops(draw: _Draw, aspects: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Affine maps [N, 2, 3] from a view's coordinates to the photo's, both -1..1, mirrored half of the time."""
    area = draw.uniform(*preset.area)
    aspect = torch.exp(draw.uniform(math.log(preset.aspect[0]), math.log(preset.aspect[1])))
    width, height = torch.sqrt(area * aspect / aspects), torch.sqrt(area / aspect * aspects)
    # a crop that is longer than the photo becomes smaller, not distorted
    excess = torch.maximum(width, height).clamp(min=1.0)
    width, height = width / excess, height / excess
    x, y = draw.uniform(-1, 1) * (1 - width), draw.uniform(-1, 1) * (1 - height)
    mirror = torch.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
    angle = draw.uniform(-1, 1) * math.radians(preset.angle)
    shear = draw.uniform(-1, 1) * preset.shear
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([width * cos * mirror, width * (shear * cos - sin), x], dim=1),
        torch.stack([height * sin * mirror, height * (shear * sin + cos), y], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _recolour(views: torch.Tensor, draw: _Draw, preset: Preset) -> torch.Tensor:
    """Turn the hue, scale the saturation and shift the lightness of each view, in the linear YIQ space."""
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    hue = draw.uniform(-1, 1) * math.radians(preset.hue)
    saturation = 1 + draw.uniform(-1, 1) * preset.saturation
    lightness = draw.uniform(-1, 1) * preset.lightness * 255
    change = torch.zeros(len(views), 3, 3)
    change[:, 0, 0] = 1
    change[:, 1, 1] = change[:, 2, 2] = saturation * torch.cos(hue)
    change[:, 2, 1] = saturation * torch.sin(hue)
    change[:, 1, 2] = -change[:, 2, 1]
    matrix = (torch.linalg.inv(to_yiq) @ change @ to_yiq).to(views.device)
    recoloured = torch.einsum("nij,njhw->nihw", matrix, views)
    return (recoloured + lightness.view(-1, 1, 1, 1).to(views.device)).clamp(0, 255)


def _erase(views: torch.Tensor, draw: _Draw, chance: float) -> torch.Tensor:
    """Grey out a random box of up to half the side, in `chance` of the views."""
    side = views.shape[-1]
    centre_x, centre_y = draw.uniform(0, side), draw.uniform(0, side)
    half_x, half_y = draw.uniform(0.05, 0.25) * side, draw.uniform(0.05, 0.25) * side
    chosen = draw.uniform(0, 1) < chance
    place = torch.arange(side)
    columns = (place[None] - centre_x[:, None]).abs() < half_x[:, None]
    rows = (place[None] - centre_y[:, None]).abs() < half_y[:, None]
    box = (rows[:, :, None] & columns[:, None, :] & chosen[:, None, None])[:, None]
    return views.masked_fill(box.to(views.device), 127.5)
