"""Small parts of tensors and statistics of whole ones, value by value."""

import math

import pytest
import torch

from train.recording.tensor_samples import (
    activity,
    quick_reduction,
    sampled,
    shrunk,
    thinned,
    variance,
)


@pytest.mark.parametrize(
    "values, expected",
    [([1.0, 3.0], 2.0), ([5.0, 5.0, 5.0], 0.0), ([1.0, 2.0, 3.0, 4.0], 5 / 3), ([-2.0, 2.0], 8.0)],
)
def test_the_variance_is_the_unbiased_one(values, expected):
    found = variance(torch.tensor(values))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_a_variance_is_never_below_0():
    """The difference of two large sums may be, by rounding."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        constant = torch.rand(1, generator=generator).expand(1000) * 1000
        assert variance(constant.contiguous()) >= 0


@pytest.mark.parametrize(
    "name, absolute, values, expected",
    [
        ("variance", False, [1.0, 3.0], 2.0),
        ("variance", False, [1.0], None),  # of a single value there is none
        ("variance", True, [1.0, 3.0], None),
        ("max", True, [-5.0, 3.0], 5.0),
        ("max", True, [-2.0, 3.0], 3.0),
        ("max", True, [-2.0], 2.0),
        ("max", True, [], None),
        ("max", False, [-5.0, 3.0], None),
        ("mean", True, [-5.0, 3.0], None),
    ],
)
def test_the_reductions_that_are_quick(name, absolute, values, expected):
    found = quick_reduction(name, torch.tensor(values), absolute)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.item() == pytest.approx(expected)


def test_an_infinite_value_is_the_largest():
    found = quick_reduction("max", torch.tensor([1.0, -math.inf]), True)
    assert found is not None
    assert found.item() == math.inf


@pytest.mark.parametrize(
    "count, most, step",
    [
        (5, 5, 1),
        (6, 5, 5),  # 2, 3 and 4 are passed by: a kernel of 3 x 3 would show one place only
        (25, 5, 5),
        (26, 5, 7),
        (35, 5, 7),
        (36, 5, 11),
        (3, 5, 1),
        (0, 5, 1),
    ],
)
def test_a_sample_is_evenly_spaced_by_steps_that_neither_2_nor_3_divides(count, most, step):
    values = torch.arange(float(count))
    if count:
        assert sampled(values, most).tolist() == list(range(0, count, step))


def test_a_sample_has_the_same_places_in_channels_last():
    """Of such a layout the values are taken in the order in which they lie in memory."""
    values = torch.arange(2.0 * 3 * 4 * 5).view(2, 3, 4, 5)
    last = values.contiguous(memory_format=torch.channels_last)
    assert torch.equal(sampled(last, 200), values.permute(0, 2, 3, 1).reshape(-1))
    assert torch.equal(sampled(values, 200), values.reshape(-1))
    three = torch.arange(24.0).view(2, 3, 4)
    assert torch.equal(sampled(three, 24), three.reshape(-1))


def test_a_sample_is_a_copy():
    values = torch.zeros(3)
    sampled(values, 3)[0] = 1
    thinned(values[:, None], 3)[0, 0] = 1
    assert values.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "shape, most, expected",
    [
        ((10, 6), 5, (5, 6)),  # all features of every second row
        ((11, 6), 5, (4, 6)),
        ((4, 6), 5, (4, 6)),
        ((10, 8, 6), 16, (4, 4, 6)),  # the last axis is that of features
        ((9, 7, 12, 8), 27, (3, 7, 3, 3)),
        ((9, 7, 12, 8), 26, (2, 7, 2, 2)),
        ((9,), 3, (9,)),
    ],
)
def test_all_nodes_keep_some_values(shape, most, expected):
    if len(shape) > 1:
        assert tuple(thinned(torch.zeros(shape), most).shape) == expected


def test_thinned_values_are_evenly_spaced():
    values = torch.arange(12.0).view(6, 2)
    assert thinned(values, 3).tolist() == [[0, 1], [4, 5], [8, 9]]
    sequence = torch.arange(24.0).view(2, 6, 2)
    assert thinned(sequence, 4).tolist() == [
        [[0, 1], [6, 7]],
        [[12, 13], [18, 19]],
    ]


def test_photos_are_shrunk_in_rows_and_columns_alone():
    photos = torch.arange(2.0 * 3 * 5 * 4).view(2, 3, 5, 4)
    small = shrunk(photos, 2)
    assert torch.equal(small, photos[:, :, ::3, ::2])
    assert torch.equal(shrunk(photos, 5), photos)
    assert torch.equal(shrunk(photos, 4), photos[:, :, ::2, :])


def test_activity_is_the_share_of_outputs_above_0():
    features = torch.tensor([[0.0, 2.0], [3.0, 5.0], [0.0, 1.0], [0.0, 9.0]])
    assert activity(features).tolist() == [0.25, 1.0]
    images = torch.zeros(2, 3, 2, 2)
    images[0, 1, 0, 0] = 7
    assert activity(images).tolist() == [0.0, 0.125, 0.0]
    sequences = torch.zeros(2, 2, 3)
    sequences[0, 0, 2] = 7
    assert activity(sequences).tolist() == [0.0, 0.0, 0.25]
