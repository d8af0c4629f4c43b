"""Each ingredient of fine-tuning by itself: rates by layer, average, mixing, accumulation."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from artifact.networks.network import build
from artifact.networks.probabilities import Probabilities
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from tests.support.learners import make_learner, one_hot
from train.data.augmentation import PRESETS, augment, numbers
from train.data.batches import accumulated, mix, mixes
from train.data.trivial_augment import OPERATIONS, trivial_augment
from train.learning.average import WeightAverage
from train.learning.loop import train_step
from train.learning.optimization import SCALE, blocks, parameter_groups
from train.model.trainable import freeze, set_training


def small(**values: float) -> Hyperparameters:
    return Hyperparameters(**values)  # type: ignore[arg-type]  # all are numbers


@pytest.mark.parametrize(
    "name, count", [("shufflenet_v2_x0_5", 19), ("vgg11", 11), ("squeezenet1_0", 10)]
)
def test_blocks_hold_each_parameter_once_and_the_head_last(name, count):
    network = build(name, 3, image_size=64, drawn=False)
    found = blocks(network)
    every = [id(value) for block in found for value in block]
    assert sorted(every) == sorted(id(value) for value in network.parameters())
    head = network.get_submodule(str(network.head_name))
    assert {id(value) for value in head.parameters()} <= {id(value) for value in found[-1]}
    assert len(found) == count


def test_each_block_learns_at_its_own_rate():
    network = build("shufflenet_v2_x0_5", 3, image_size=64, drawn=False)
    groups = parameter_groups(network, 0.5)
    scales = [group[SCALE] for group in groups]
    assert scales[-3:] == [0.25, 0.5, 1.0]
    assert scales == sorted(scales)
    freeze(network, "head")
    assert [group[SCALE] for group in parameter_groups(network, 0.5)] == [1.0]
    assert SCALE not in parameter_groups(network, 1.0)[0]


def test_the_average_forgets_the_first_values_and_counts_batches():
    values = {"weight": torch.zeros(2), "batches": torch.tensor(0)}
    average = WeightAverage(values, 0.9)
    for step in range(1, 200):
        average.update({"weight": torch.ones(2), "batches": torch.tensor(step)})
    assert average.values["weight"].min() > 0.999
    assert average.values["batches"] == 199
    again = WeightAverage(values, 0.9)
    again.restore(copy.deepcopy(average.state()))
    for one in (average, again):
        one.update({"weight": torch.full((2,), 3.0), "batches": torch.tensor(200)})
    assert torch.equal(average.values["weight"], again.values["weight"])


def test_inside_averaged_the_network_has_the_average_and_then_its_own_values():
    learner = make_learner(ema_decay=0.5, model="shufflenet_v2_x0_5")
    samples = torch.rand(4, 3, 32, 32)
    train_step(learner, (samples,), one_hot([0, 1, 2, 0], 3), 4)
    own = {name: value.clone() for name, value in learner.learned().items()}
    assert learner.average is not None
    with learner.averaged():
        for name, value in learner.learned().items():
            assert torch.equal(value, learner.average.values[name])
    assert all(torch.equal(value, own[name]) for name, value in learner.learned().items())
    assert not torch.equal(own["fc.weight"], learner.average.values["fc.weight"])


def test_frozen_statistics_stay_while_the_weights_learn():
    learner = make_learner("all", "shufflenet_v2_x0_5")
    network = learner.network
    for keeps in (True, False):
        set_training(network, [], keeps)
        before = {name: value.clone() for name, value in network.named_buffers()}
        network(torch.rand(4, 3, 32, 32))
        same = [torch.equal(value, before[name]) for name, value in network.named_buffers()]
        assert all(same) == keeps
        assert all(value.requires_grad for value in network.parameters())


@pytest.mark.parametrize("alphas", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}])
def test_photos_and_labels_are_mixed_in_the_same_shares(alphas):
    hp = small(**alphas)
    colours = torch.tensor([0.0, 1.0, 2.0, 3.0])
    samples = colours.view(4, 1, 1, 1).expand(4, 3, 8, 8).contiguous()
    targets = one_hot([0, 1, 2, 3], 4)
    for step in range(20):
        (mixed,), shares = mix(hp, (samples,), targets, (0, 1, step, 0))
        # each photo has one colour: its mean is that of the labels' shares
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares @ colours)
        torch.testing.assert_close(shares.sum(1), torch.ones(4))
        (again,), _ = mix(hp, (samples,), targets, (0, 1, step, 0))
        assert torch.equal(mixed, again)
    assert mixes(hp)
    assert not mixes(small())


def test_batches_are_accumulated_to_one_step():
    order = [np.arange(4), np.arange(4), np.arange(2)]
    found = [accumulated(order, number, 2) for number in range(3)]
    assert found == [(8, True, False), (8, False, True), (2, True, True)]


def test_two_halves_make_the_step_of_a_whole_batch():
    samples = torch.rand(4, 3, 32, 32)
    targets = one_hot([0, 1, 2, 0], 3)
    whole, halves = (
        make_learner("head", "shufflenet_v2_x0_5", optimizer="sgd", lr=0.1) for _ in range(2)
    )
    for learner in (whole, halves):
        learner.network.eval()
    train_step(whole, (samples,), targets, 4)
    train_step(halves, (samples[:2],), targets[:2], 4, ends=False)
    train_step(halves, (samples[2:],), targets[2:], 4, begins=False)
    for ours, theirs in zip(halves.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradients_are_clipped_to_the_norm():
    learner = make_learner("head", "shufflenet_v2_x0_5", optimizer="sgd", lr=1.0, momentum=0)
    learner.hyperparameters = dataclasses.replace(learner.hyperparameters, clip_gradients=0.01)
    head = learner.network.get_submodule("fc")
    before = [value.detach().clone() for value in head.parameters()]
    train_step(learner, (torch.rand(4, 3, 32, 32),), one_hot([0, 1, 2, 0], 3), 4)
    after = [value.detach() for value in head.parameters()]
    moved = torch.cat([(new - old).flatten() for new, old in zip(after, before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_every_operation_of_trivial_augment_keeps_a_views_shape_and_range():
    view = torch.rand(1, 3, 16, 16) * 255
    for place in range(len(OPERATIONS)):
        for sign in (0.2, 0.8):
            chances = torch.tensor([[(place + 0.5) / len(OPERATIONS), 0.99, sign]])
            changed = trivial_augment(view, chances)
            assert changed.shape == view.shape
            assert 0 <= changed.min() <= changed.max() <= 255
    same = trivial_augment(view, torch.tensor([[0.0, 0.5, 0.5]]))
    torch.testing.assert_close(same, view.round())


def test_a_trivial_view_depends_on_its_own_numbers_alone():
    pixels = torch.randint(0, 256, (6, 20, 20, 3), dtype=torch.uint8)
    chances = numbers(6, 0, 1)
    views = augment(pixels, torch.ones(6), 16, PRESETS["trivial"], chances)
    one = augment(pixels[4:5], torch.ones(1), 16, PRESETS["trivial"], chances[4:5])
    torch.testing.assert_close(views[4:5], one, atol=1.0, rtol=0)


def test_a_photo_and_its_mirror_have_one_answer_where_flips_are_averaged():
    torch.manual_seed(0)
    network = build("shufflenet_v2_x0_5", 3, image_size=32).eval()
    preprocessing = Preprocessing(36, 32)
    photo = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    for flip_average in (False, True):
        model = Probabilities(network, preprocessing, flip_average=flip_average).eval()
        with torch.no_grad():
            same = torch.allclose(model(photo), model(photo.flip(2)), atol=1e-6)
        assert same == flip_average
