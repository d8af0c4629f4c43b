"""Splitting a partly frozen network; training on stored features equals training on photos."""

import logging

import numpy as np
import pytest
import torch

from artifact.networks.network import Normalize, build
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import draw_channel, make_job, train_job
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.data.row_stores import MemoryStore
from train.distributed.context import DistributedContext
from train.learning.cached_features import CachedFeatureLoader
from train.model.split_at_frozen import split_at_frozen
from train.model.trainable import freeze, set_training

pytestmark = pytest.mark.training

CUTS = [
    ("vgg11", "head", [(4096,)]),
    ("vgg11", "classifier.3", [(4096,)]),
    ("vgg11_bn", "features.18", None),
    ("resnet18", "head", [(512,)]),
    ("resnet18", "layer4", [(256, 4, 4)]),
    ("resnet18", "layer4.1", [(512, 2, 2)]),
    ("vit_b_32", "encoder.layers.encoder_layer_11", [(5, 768)]),
    ("vit_b_32", "head", [(768,)]),
    ("swin_t", "features.7", None),
    ("convnext_tiny", "features.7", None),
    ("densenet121", "features.denseblock4", None),
    ("efficientnet_b0", "features.7", None),
    ("mobilenet_v3_small", "classifier", [(576,)]),
    ("regnet_y_400mf", "trunk_output.block4", None),
    ("shufflenet_v2_x0_5", "stage4", None),
    ("squeezenet1_1", "head", None),
    ("googlenet", "inception5b", None),
    ("mnasnet0_5", "classifier", [(1280,)]),
    ("inception_v3", "Mixed_7c", None),
]


@pytest.mark.parametrize(
    "model, trainable, shapes", CUTS, ids=[f"{model}-{trainable}" for model, trainable, _ in CUTS]
)
def test_networks_of_every_kind_are_cut_where_learning_begins(model, trainable, shapes):
    """Both parts in a row answer as the whole does, in training, too.

    The front part has no gradients, the other part has all of them.
    """
    # Inception's last blocks need larger photos.
    side = 96 if model == "inception_v3" else 64
    torch.manual_seed(0)
    network = build(model, 3, (), side)
    frozen = freeze(network, trainable)
    set_training(network, frozen)
    parts = split_at_frozen(network, frozen, torch.rand(2, 3, side, side))
    assert parts is not None
    assert all(not value.requires_grad for value in parts.front.parameters())
    if shapes:
        assert [shape for shape, _ in parts.features] == shapes
    learning = {name for name, value in network.named_parameters() if value.requires_grad}
    assert learning == {
        name for name, value in parts.trainable_part.named_parameters() if value.requires_grad
    }
    set_training(network, frozen)
    samples = torch.rand(4, 3, side, side)
    # Dropout must draw alike in both.
    torch.manual_seed(1)
    whole = network(samples)
    torch.manual_seed(1)
    torch.testing.assert_close(parts.trainable_part(*parts.front(samples)), whole)
    parts.trainable_part(*parts.front(samples)).sum().backward()
    assert all(value.grad is not None for value in network.parameters() if value.requires_grad)


def test_a_network_that_learns_from_its_first_module_on_has_no_cut():
    network = build("resnet18", 3)
    assert split_at_frozen(network, freeze(network, "all"), torch.rand(2, 3, 64, 64)) is None
    assert split_at_frozen(network, freeze(network, "conv1"), torch.rand(2, 3, 64, 64)) is None


@pytest.mark.parametrize(
    "settings, same",
    [
        ({"augmentation": "none"}, True),
        ({"augmentation": "crop", "feature_views": 3}, True),  # as many views as epochs
        ({"augmentation": "strong", "feature_views": 1}, False),
    ],
)
def test_training_on_kept_features_is_training_on_photos(tmp_path, settings, same, caplog):
    """The losses of each epoch are those of the whole network; with fewer views they are near."""
    caplog.set_level(logging.INFO)
    histories = []
    for name, views in (("kept", settings.get("feature_views", 4)), ("anew", 0)):
        job = make_job(
            tmp_path / name,
            {"train": 8, "validation": 4},
            **{**settings, "feature_views": views},
            trainable="stage4",
            epochs=3,
            precision="float32",
        )
        train_job(job)
        histories.append(
            [
                [float(value) for value in row.split(",")[1:5]]
                for row in (job.output_data / "history.csv").read_text().splitlines()[1:]
            ]
        )
    kept, anew = (torch.tensor(history) for history in histories)
    assert len(kept) == 3
    if same:
        torch.testing.assert_close(kept, anew, rtol=1e-4, atol=1e-5)
    else:
        assert not torch.allclose(kept, anew, rtol=1e-4, atol=1e-5)
        assert kept[-1, 0] < kept[0, 0]
        torch.testing.assert_close(kept[-1, 2], anew[-1, 2], rtol=0, atol=0.5)


def test_features_are_the_same_bits_whatever_was_kept_before(tmp_path):
    """As after a kill: missing photos go through the backbone in the same blocks as before."""
    paths = sorted(draw_channel(tmp_path, 7).glob("*/*"))
    preprocessing = Preprocessing(64, 64)
    torch.manual_seed(0)
    network = build("vgg11", 3, (), 64)
    frozen = freeze(network, "head")
    set_training(network, frozen)
    parts = split_at_frozen(
        network, frozen, torch.rand(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    )
    assert parts is not None
    pixels = PixelLoader(
        PhotoArrays(paths, preprocessing.pixels, 64),
        Normalize(preprocessing),
        torch.device("cpu"),
        64,
    )
    loader = CachedFeatureLoader(
        pixels,
        parts,
        [MemoryStore(len(paths), (4096,), np.dtype(np.float32))],
        1,
        torch.float32,
        DistributedContext(),
    )
    assert loader.prepare(1, lambda: False)
    every = np.arange(len(paths))
    whole = loader.stores[0].read(every)
    for missing in ([3], [17, 18, 20], list(range(16))):
        there = np.setdiff1d(every, missing)
        loader.stores = [MemoryStore(len(paths), (4096,), np.dtype(np.float32))]
        loader.stores[0].write(there, whole[there])
        assert loader.prepare(1, lambda: False)
        np.testing.assert_array_equal(loader.stores[0].read(every), whole)
