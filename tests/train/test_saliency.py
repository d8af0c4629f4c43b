"""Where a network saw its answer: a map over the places of a photo, for each kind of network."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from artifact.networks.network import build
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import draw_photo
from train.result import saliency as module
from train.result.report_photos import Picture, Seen, overlay
from train.result.saliency import saliency, seen_places

SIDE = 32


class BrightCorner(nn.Module):
    """Class 0 is how bright the upper left is: a convolution, averages, and a linear head."""

    head_name = "head"

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 1, 8, stride=8, bias=False)
        nn.init.ones_(self.layer.weight)
        self.head = nn.Linear(1, 2, bias=False)
        nn.init.constant_(self.head.weight, 1.0)

    def forward(self, samples):
        return self.head(self.layer(samples).mean((2, 3)))


def test_the_map_lies_where_the_answer_comes_from():
    samples = torch.zeros(1, 3, SIDE, SIDE)
    samples[:, :, :8, :8] = 1
    seen = seen_places(BrightCorner(), samples, 0)
    assert seen is not None
    expected = np.zeros((4, 4))
    expected[0, 0] = 1
    np.testing.assert_allclose(seen, expected)
    # What speaks against a class is not shown.
    assert seen_places(BrightCorner(), -samples, 0) is None


@pytest.mark.verify
@pytest.mark.parametrize(
    "name, side, shape",
    [
        ("resnet18", 96, (3, 3)),
        ("timm/tf_efficientnet_lite0", 96, (3, 3)),
        ("vit_b_16", 64, (4, 4)),
        ("timm/vit_tiny_patch16_224", 224, (14, 14)),
        ("timm/vit_small_patch14_reg4_dinov2", 224, (16, 16)),
        ("swin_t", 96, (3, 3)),
        ("convnext_tiny", 96, (3, 3)),
        ("timm/mixer_s16_224", 224, (14, 14)),
    ],
)
def test_every_kind_of_network_has_a_map_of_its_places(name, side, shape):
    torch.manual_seed(0)
    network = build(name, 3, (), side).eval()
    network.requires_grad_(False)  # as a frozen one
    maps = [seen_places(network, torch.randn(1, 3, side, side), answer) for answer in range(3)]
    # Of random weights some answers have nothing that speaks for them.
    found = [seen for seen in maps if seen is not None]
    assert found
    for seen in found:
        assert seen.shape == shape
        assert 0 <= seen.min() < seen.max() == 1
    assert not any(parameter.grad is not None for parameter in network.parameters())


def test_its_time_is_bounded_and_the_log_says_so(tmp_path, caplog, monkeypatch):
    photos = []
    for index in range(3):
        draw_photo(tmp_path / f"{index}.jpg", (200, 200, 200), index)
        photos.append((tmp_path / f"{index}.jpg", 0))
    preprocessing = Preprocessing(resize=40, crop=SIDE, mean=(0, 0, 0))
    with caplog.at_level(logging.INFO):
        found = saliency(BrightCorner(), preprocessing, photos, lambda: False)
        assert set(found) == {path for path, _ in photos}
        assert found[photos[0][0]].share == 0.8
        monkeypatch.setattr(module, "MOST_S", -1.0)
        assert saliency(BrightCorner(), preprocessing, photos, lambda: False) == {}
    assert "saliency: 3 of 3 of the worst mistakes in " in caplog.text
    assert "saliency: 0 of 3 of the worst mistakes in " in caplog.text


def test_the_overlay_lies_over_the_square_that_the_network_sees():
    seen = Seen(np.eye(4, dtype=np.float32), 0.8)
    found = overlay(seen, Picture("data:,", 400, 200))
    assert found is not None
    assert (found["left"], found["top"]) == (30, 10)
    assert (found["width"], found["height"]) == (40, 80)
    assert overlay(None, Picture("data:,", 4, 2)) is None
    assert overlay(seen, Picture(gap="it is gone")) is None
