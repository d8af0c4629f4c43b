"""Steps, epochs and validations.

The faults of other trainings would break these: photos in the order of their classes, and losses
that depend on a batch's size.
"""

import numpy as np
import pytest
import torch

from artifact.networks.network import Normalize
from tests.support.jobs import draw_channel
from tests.support.learners import CPU, PREPROCESSING, make_learner, one_hot
from train.data.batches import shuffled
from train.data.channels import read_channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.learning.loop import train_epoch, train_step, validate
from train.learning.optimization import class_weights

pytestmark = pytest.mark.training


def make_loader(folder, augmentation="none") -> tuple[PixelLoader, torch.Tensor]:
    """A loader of 21 photos of three classes, and their labels, int64 [21, 1]."""
    photos = read_channels({"train": draw_channel(folder, 7)}, (1.0, 0.0, 0.0), 0).train
    if augmentation == "none":
        arrays = PhotoArrays(photos.paths, PREPROCESSING.pixels, 32)
    else:
        arrays = PhotoArrays(photos.paths, PREPROCESSING.stretched, 36)
    loader = PixelLoader(arrays, Normalize(PREPROCESSING), CPU, 32, augmentation)
    return loader, torch.tensor(list(photos.labels))


def never() -> bool:
    return False


def test_photos_come_in_a_new_order_each_epoch_and_none_is_left_out():
    orders = [
        np.concatenate(shuffled(100, 8, torch.Generator().manual_seed(epoch))) for epoch in (1, 2)
    ]
    for order in orders:
        assert sorted(order) == list(range(100))
    assert not np.array_equal(orders[0], orders[1])
    # a set sorted by class must not come in batches of one class
    first = shuffled(100, 10, torch.Generator().manual_seed(0))[0]
    assert len(set(first // 25)) > 1


def test_training_itself_takes_the_photos_in_a_new_order_each_epoch(tmp_path, monkeypatch):
    loader, labels = make_loader(tmp_path)
    seen: list[list[int]] = []
    batches = loader.batches

    def recorded(epoch, order):
        seen.append(np.concatenate(order).tolist())
        return batches(epoch, order)

    monkeypatch.setattr(loader, "batches", recorded)
    learner = make_learner("head", lr=0.0)
    for epoch in (1, 2):
        train_epoch(learner, loader, labels, epoch, never)
    every = list(range(21))
    assert sorted(seen[0]) == every
    assert sorted(seen[1]) == every
    assert seen[0] != seen[1]
    assert seen[0] != every


@pytest.mark.parametrize("count, size", [(9, 8), (17, 8), (1, 8), (16, 8), (3, 1)])
def test_no_batch_of_one_is_left_at_the_end(count, size):
    batches = shuffled(count, size, torch.Generator().manual_seed(0))
    sizes = [len(batch) for batch in batches]
    assert sum(sizes) == count
    if size > 1 and count > 1:
        assert min(sizes) > 1


def test_the_epochs_loss_is_the_mean_over_photos_whatever_the_batch_size(tmp_path):
    loader, labels = make_loader(tmp_path)
    losses = []
    for batch_size in (1, 2, 5, 21):
        learner = make_learner(
            "head", batch_size=batch_size, lr=0.0, optimizer="sgd", weight_decay=0.0, momentum=0.0
        )
        metrics = train_epoch(learner, loader, labels, 1, never)
        assert metrics is not None
        losses.append(metrics["train_loss"])
    assert losses == pytest.approx([losses[0]] * 4, abs=1e-5)


def test_validation_does_not_depend_on_test_batch_size(tmp_path):
    loader, labels = make_loader(tmp_path)
    results = []
    for size in (1, 2, 7, 100):
        learner = make_learner(test_batch_size=size, top_k=2)
        results.append(validate(learner, loader, labels, never))
    first = results[0]
    assert first is not None
    for result in results[1:]:
        assert result is not None
        assert result["validation_accuracy"] == first["validation_accuracy"]
        assert result["validation_top_2_accuracy"] == first["validation_top_2_accuracy"]
        assert result["validation_loss"] == pytest.approx(first["validation_loss"], abs=1e-5)


def test_class_weights_do_not_make_the_loss_depend_on_company():
    """The step of a batch is the mean of its photos' own steps.

    With cross_entropy's weighted mean it would not be.
    """
    weights = class_weights("balanced", [(0,)] * 8 + [(1,)] * 2, 2)
    assert weights is not None
    np.testing.assert_allclose(weights, [0.625, 2.5])
    samples = torch.randn(6, 3, 32, 32)
    targets = one_hot([0, 0, 0, 0, 0, 1], 2)

    def step(chosen: slice) -> torch.Tensor:
        learner = make_learner(classes=2, lr=0.01, optimizer="sgd", momentum=0.0, weight_decay=0.0)
        learner.class_weights = weights
        learner.network.eval()
        head = learner.network.get_parameter("fc.weight")
        before = head.detach().clone()
        train_step(learner, (samples[chosen],), targets[chosen], len(targets[chosen]))
        return head.detach() - before

    alone = torch.stack([step(slice(index, index + 1)) for index in range(6)]).mean(0)
    torch.testing.assert_close(step(slice(0, 6)), alone, atol=1e-6, rtol=1e-3)


def test_an_epoch_done_again_is_the_same_epoch(tmp_path):
    loader, labels = make_loader(tmp_path, "strong")
    metrics = []
    for _ in range(2):
        learner = make_learner(model="shufflenet_v2_x0_5", augmentation="strong")
        metrics.append(train_epoch(learner, loader, labels, 3, never))
    assert metrics[0] == metrics[1]


def test_a_stop_ends_an_epoch_early(tmp_path):
    loader, labels = make_loader(tmp_path)
    assert train_epoch(make_learner(), loader, labels, 1, lambda: True) is None
    assert validate(make_learner(), loader, labels, lambda: True) is None
