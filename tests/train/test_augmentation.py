"""Random views of photos: size, repeatability, and no distortion."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from train.data.augmentation import NUMBERS, PRESETS, augment, numbers


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_views_are_photos_of_the_right_size_and_follow_the_generator(preset):
    drawn = np.random.default_rng(0).integers(0, 256, (5, 36, 36, 3), dtype=np.uint8)
    pixels = torch.from_numpy(drawn)
    # Wide and tall photos.
    aspects = torch.tensor([1.0, 1.5, 0.5, 3.0, 0.3])
    first, again, other = (
        augment(pixels, aspects, 32, PRESETS[preset], numbers(5, seed, 1)) for seed in (0, 0, 1)
    )
    assert first.shape == (5, 3, 32, 32)
    assert first.min() >= 0
    assert first.max() <= 255
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_view_of_a_plain_photo_is_the_photo():
    # Nothing but one colour: no view can be another.
    plain = torch.full((8, 40, 40, 3), 200, dtype=torch.uint8)
    views = augment(plain, torch.ones(8), 32, PRESETS["crop"], torch.rand(8, NUMBERS))
    torch.testing.assert_close(views, torch.full((8, 3, 32, 32), 200.0), atol=0.1, rtol=0)


@pytest.mark.parametrize("aspect", [0.4, 4 / 3, 2.0, 3.0])
def test_crops_are_not_distorted(aspect):
    """A circle in a photo of any aspect, squeezed to a square, is a circle again in the views."""
    stretched = torch.from_numpy(stretched_circle(300, round(300 * aspect)))
    preset = dataclasses.replace(PRESETS["crop"], aspect=(1.0, 1.0))
    ratios = []
    for seed in range(30):
        views = augment(stretched[None], torch.tensor([aspect]), 224, preset, numbers(1, seed, 1))
        view = views[0, 0] > 127
        rows = view.any(1)
        columns = view.any(0)
        touches_edge = rows[0] or rows[-1] or columns[0] or columns[-1]
        # A circle that is cut off has no shape to measure.
        if rows.any() and not touches_edge:
            ratios.append(columns.sum().item() / rows.sum().item())
    assert len(ratios) > 5
    assert min(ratios) > 0.9
    assert max(ratios) < 1.1


def stretched_circle(height: int, width: int) -> np.ndarray:
    """A white circle in a photo of this size, resized to uint8 [256, 256, 3]."""
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot(x - width / 2, y - height / 2)
    circle = (distance < 0.2 * min(width, height)).astype(np.uint8) * 255
    photo = Image.fromarray(np.repeat(circle[..., None], 3, axis=2))
    return np.array(photo.resize((256, 256)))
