"""Random views of training photos, made for a whole batch at once on the device.

A photo arrives whole, squeezed to a square; its aspect is what undistorted crops are computed from.
A view depends only on its photo's random numbers, not on the batch: it is the same in every process
and on every machine.
"""

import math
from dataclasses import dataclass

import torch

from train.data.trivial_augment import trivial_augment


@dataclass(frozen=True)
class Preset:
    """Bounds of the random changes."""

    area: tuple[float, float] = (0.5, 1.0)  # of the crop, as a share of the photo's
    aspect: tuple[float, float] = (0.8, 1.25)  # of the crop, width / height
    hue: float = 0.0  # degrees
    saturation: float = 0.0  # share of the full range
    lightness: float = 0.0  # share of the full range
    angle: float = 0.0  # degrees
    shear: float = 0.0  # slope
    erase: float = 0.0  # share of the views that get a grey box
    trivial: bool = False  # one operation of TrivialAugment, too


# The first three are those of SageMaker's built-in image classification algorithm. It gives hue as
# 36 of 180, saturation and lightness as 50 of 255.
PRESETS = {
    "crop": Preset(),
    "crop_color": Preset(hue=72.0, saturation=50 / 255, lightness=50 / 255),
    "crop_color_transform": Preset(
        hue=72.0, saturation=50 / 255, lightness=50 / 255, angle=10.0, shear=0.1
    ),
    "strong": Preset(
        area=(0.25, 1.0), hue=36.0, saturation=0.4, lightness=0.3, angle=20.0, shear=0.2, erase=0.25
    ),
    "trivial": Preset(trivial=True),
}

NUMBERS = 15  # random numbers for one view, more than any preset draws
# RGB to YIQ (NTSC): Y is the luma, hue is an angle in the plane of I and Q
TO_YIQ = (
    (0.299, 0.587, 0.114),
    (0.596, -0.274, -0.322),
    (0.211, -0.523, 0.312),
)


def numbers(count: int, seed: int, view: int) -> torch.Tensor:
    """The random numbers of one view of each of `count` photos: float32 [count, NUMBERS], 0..1."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + view)
    return torch.rand(count, NUMBERS, generator=generator)


def augment(
    pixels: torch.Tensor, aspects: torch.Tensor, side: int, preset: Preset, chances: torch.Tensor
) -> torch.Tensor:
    """Views of photos: uint8 [N, R, R, 3] to float32 [N, 3, side, side], samples 0..255.

    pixels: photos squeezed to squares. aspects: width / height of each photo, float32 [N].
    chances: the photos' `numbers`, [N, NUMBERS]. The last two are on the CPU.
    """
    draw = _Draw(chances)
    crops = _crops(draw, aspects, preset).to(pixels.device)
    size = [len(pixels), 3, side, side]
    grid = torch.nn.functional.affine_grid(crops, size, align_corners=False)
    samples = pixels.permute(0, 3, 1, 2).float()
    views = torch.nn.functional.grid_sample(
        samples, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    if preset.hue or preset.saturation or preset.lightness:
        views = _recolour(views, draw, preset)
    if preset.trivial:
        drawn = torch.stack([draw.uniform(0, 1) for _ in range(3)], dim=1)
        views = trivial_augment(views, drawn)
    if preset.erase:
        views = _erase(views, draw, preset.erase)
    return views


class _Draw:
    """Takes the columns of the photos' numbers, one after the other."""

    def __init__(self, chances: torch.Tensor):
        self.columns = iter(chances.unbind(dim=1))

    def uniform(self, low: float, high: float) -> torch.Tensor:
        """One number between the bounds for each photo, float32 [N]."""
        return low + (high - low) * next(self.columns)


def _crops(draw: _Draw, aspects: torch.Tensor, preset: Preset) -> torch.Tensor:
    """Affine maps [N, 2, 3] from a view's coordinates to its photo's, both -1..1.

    Half of the views are mirrored.
    """
    area = draw.uniform(*preset.area)
    aspect = torch.exp(draw.uniform(math.log(preset.aspect[0]), math.log(preset.aspect[1])))
    width = torch.sqrt(area * aspect / aspects)
    height = torch.sqrt(area / aspect * aspects)
    # a crop that is longer than the photo becomes smaller, not distorted
    excess = torch.maximum(width, height).clamp(min=1.0)
    width = width / excess
    height = height / excess
    x = draw.uniform(-1, 1) * (1 - width)
    y = draw.uniform(-1, 1) * (1 - height)
    mirror = torch.where(draw.uniform(0, 1) < 0.5, -1.0, 1.0)
    angle = draw.uniform(-1, 1) * math.radians(preset.angle)
    shear = draw.uniform(-1, 1) * preset.shear
    cos = torch.cos(angle)
    sin = torch.sin(angle)
    rows = [
        torch.stack([width * cos * mirror, width * (shear * cos - sin), x], dim=1),
        torch.stack([height * sin * mirror, height * (shear * sin + cos), y], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _recolour(views: torch.Tensor, draw: _Draw, preset: Preset) -> torch.Tensor:
    """Turn the hue, scale the saturation and shift the lightness of each view.

    All three are linear in the YIQ colour space, so one matrix for each view does it.
    """
    to_yiq = torch.tensor(TO_YIQ)
    hue = draw.uniform(-1, 1) * math.radians(preset.hue)
    saturation = 1 + draw.uniform(-1, 1) * preset.saturation
    lightness = draw.uniform(-1, 1) * preset.lightness * 255
    change = torch.zeros(len(views), 3, 3)
    change[:, 0, 0] = 1
    change[:, 1, 1] = saturation * torch.cos(hue)
    change[:, 2, 2] = change[:, 1, 1]
    change[:, 2, 1] = saturation * torch.sin(hue)
    change[:, 1, 2] = -change[:, 2, 1]
    matrix = (torch.linalg.inv(to_yiq) @ change @ to_yiq).to(views.device)
    recoloured = torch.einsum("nij,njhw->nihw", matrix, views)
    shift = lightness.view(-1, 1, 1, 1).to(views.device)
    return (recoloured + shift).clamp(0, 255)


def _erase(views: torch.Tensor, draw: _Draw, chance: float) -> torch.Tensor:
    """Grey out a random box of up to half the side, in `chance` of the views."""
    side = views.shape[-1]
    centre_x = draw.uniform(0, side)
    centre_y = draw.uniform(0, side)
    half_x = draw.uniform(0.05, 0.25) * side
    half_y = draw.uniform(0.05, 0.25) * side
    chosen = draw.uniform(0, 1) < chance
    place = torch.arange(side)
    columns = (place[None] - centre_x[:, None]).abs() < half_x[:, None]  # [N, side]
    rows = (place[None] - centre_y[:, None]).abs() < half_y[:, None]
    box = rows[:, :, None] & columns[:, None, :] & chosen[:, None, None]
    return views.masked_fill(box[:, None].to(views.device), 127.5)
