"""The sizes of photos, of their views in each epoch, and of batches."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.batches import shuffled
from train.data.loader import PixelLoader
from train.data.photos import in_order
from train.job import JobError
from train.model.networks import first_side, sizes


def settings(**values) -> Hyperparameters:
    return Hyperparameters(**values)


@pytest.mark.parametrize(
    "values, crop, resize",
    [
        ({}, 224, 256),
        ({"image_size": 112}, 112, 128),
        ({"image_size": 100}, 100, 114),
        ({"resize": 300}, 224, 300),
        ({"image_size": 64, "resize": 64}, 64, 64),
    ],
)
def test_sizes_are_those_asked_for_or_in_proportion(values, crop, resize):
    found = sizes(settings(model="resnet18", weights="IMAGENET1K_V1", **values))
    assert (found.crop, found.resize) == (crop, resize)


def test_the_sizes_of_an_earlier_artifact_come_before_the_published_ones():
    earlier = Preprocessing(72, 64)
    hp = settings(model="resnet18", weights="model")
    assert sizes(hp, earlier) == earlier
    assert sizes(settings(model="resnet18", image_size=32), earlier).resize == 36
    with pytest.raises(JobError, match="crop must lie between 1 and resize"):
        sizes(settings(model="resnet18", resize=20), earlier)


@pytest.mark.parametrize(
    "first, crop, side",
    [
        (1.0, 224, 224),
        (0.5, 224, 128),  # 3.5 steps of 32
        (0.5, 192, 96),
        (0.25, 112, 32),
        (0.25, 60, 32),  # at least one step
        (0.9, 40, 32),
        (0.99, 24, 24),  # no more than the full side
    ],
)
def test_the_first_side_is_a_multiple_of_32(first, crop, side):
    assert first_side(settings(first_resolution=first), Preprocessing(crop, crop)) == side


@pytest.mark.parametrize(
    "first, side, rising, expected",
    [
        (64, 224, 4, [64, 96, 128, 192, 224, 224]),
        (64, 224, 0, [224, 224, 224, 224, 224, 224]),
        (0, 224, 4, [224] * 6),
        (16, 50, 2, [32, 32, 50, 50, 50, 50]),
        (200, 210, 2, [192, 192, 210, 210, 210, 210]),
    ],
)
def test_the_side_of_each_epoch(first, side, rising, expected):
    loader = PixelLoader(
        SimpleNamespace(),  # type: ignore[arg-type]  # the photos are not asked
        torch.nn.Identity(),
        torch.device("cpu"),
        side,
        first_side=first,
        rising=rising,
    )
    assert [loader._side(epoch) for epoch in range(1, 7)] == expected
    assert loader._side(0) == side
    assert loader.preset is None
    assert loader.seed == 0
    assert loader.prepare(1, lambda: False) is True
    assert loader.prepare(1, lambda: True) is False


@pytest.mark.parametrize(
    "count, size, at_least, expected",
    [
        (9, 8, 2, [9]),
        (10, 8, 2, [8, 2]),
        (17, 8, 2, [8, 9]),
        (19, 8, 4, [8, 11]),
        (20, 8, 4, [8, 8, 4]),
        (3, 1, 2, [1, 1, 1]),
        (5, 2, 4, [2, 3]),
        (1, 8, 2, [1]),
        (0, 8, 2, []),
    ],
)
def test_the_sizes_of_batches(count, size, at_least, expected):
    batches = shuffled(count, size, torch.Generator().manual_seed(0), at_least)
    assert [len(batch) for batch in batches] == expected
    assert sorted(np.concatenate([*batches, []]).tolist()) == list(range(count))


def test_batches_in_order():
    assert [batch.tolist() for batch in in_order(5, 2)] == [[0, 1], [2, 3], [4]]
    assert in_order(0, 2) == []
