"""What the faults of other trainings would break: freezing, shuffling, losses that depend on a batch's size, augmentation."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from artifact.network import Normalize, build
from artifact.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters, parse
from tests.support.jobs import SMALL, draw_channel
from train.data.augmentation import NUMBERS, PRESETS, augment, numbers
from train.data.channels import read_channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.job import JobError
from train.learning.loop import Learner, shuffled, train_epoch, train_step, validate
from train.learning.objective import is_correct, is_in_top_k, losses, multi_hot, padded
from train.learning.optimization import class_weights, learning_rate, make_optimizer
from train.model.trainable import freeze, set_training

PREPROCESSING = Preprocessing(36, 32)


def learner(trainable="all", model="resnet18", classes=3, **settings) -> Learner:
    torch.manual_seed(0)
    hp = parse(
        {
            **SMALL,
            "model": model,
            "trainable": trainable,
            **{name: str(value) for name, value in settings.items()},
        }
    )
    network = build(hp.model, classes, hp.head, 32)
    frozen = freeze(network, trainable)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return Learner(
        network,
        classes,
        frozen,
        make_optimizer(learning, hp),
        hp,
        PREPROCESSING,
        torch.device("cpu"),
    )


def feed(folder, augmentation="none") -> tuple[PixelLoader, torch.Tensor]:
    photos = read_channels({"train": draw_channel(folder, 7)}, (1.0, 0.0, 0.0), 0).train
    sized = (PREPROCESSING.pixels, 32) if augmentation == "none" else (PREPROCESSING.stretched, 36)
    return PixelLoader(
        PhotoArrays(photos.paths, *sized),
        Normalize(PREPROCESSING),
        torch.device("cpu"),
        32,
        augmentation,
    ), torch.tensor(photos.labels)


def one_hot(labels: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def never() -> bool:
    return False


@pytest.mark.parametrize(
    "model, trainable, learns, stays",
    [
        (
            "resnet18",
            "head",
            ["fc.weight"],
            ["layer4.1.conv2.weight", "layer4.1.bn2.running_mean", "bn1.weight"],
        ),
        (
            "resnet18",
            "layer4",
            ["fc.weight", "layer4.0.conv1.weight", "layer4.1.bn2.running_mean"],
            ["layer3.1.conv2.weight", "layer3.1.bn2.running_mean"],
        ),
        ("resnet18", "all", ["conv1.weight", "fc.weight", "bn1.running_mean"], []),
        (
            "vgg11",
            "classifier.3",
            ["classifier.6.weight", "classifier.3.weight"],
            ["classifier.0.weight", "features.0.weight"],
        ),
        (
            "vit_b_32",
            "encoder.layers.encoder_layer_11",
            ["heads.head.weight", "encoder.layers.encoder_layer_11.self_attention.in_proj_weight"],
            [
                "class_token",
                "encoder.pos_embedding",
                "encoder.layers.encoder_layer_10.self_attention.in_proj_weight",
            ],
        ),
        (
            "swin_t",
            "features.7",
            ["head.weight", "features.7.0.attn.relative_position_bias_table"],
            ["features.5.0.attn.relative_position_bias_table"],
        ),
    ],
)
def test_frozen_parts_stay_and_all_others_move(model, trainable, learns, stays):
    learning = learner(trainable, model, optimizer="sgd", lr=0.1)
    before = {name: value.clone() for name, value in learning.network.state_dict().items()}
    set_training(learning.network, learning.frozen)
    torch.manual_seed(1)
    for _ in range(2):
        train_step(learning, (torch.randn(4, 3, 32, 32),), one_hot([0, 1, 2, 0], 3), 4)
    after = learning.network.state_dict()
    for name in learns:
        assert not torch.equal(before[name], after[name]), name
    for name in stays:
        assert torch.equal(before[name], after[name]), name


def test_frozen_dropout_and_batch_normalisation_are_in_eval():
    learning = learner("classifier.6", "vgg11_bn")
    set_training(learning.network, learning.frozen)
    training = {
        name
        for name, module in learning.network.named_modules()
        if module.training and not list(module.children())
    }
    assert training == {"classifier.6"}


@pytest.mark.parametrize("name", ["layer9", "", "Fc", "layer4."])
def test_an_unknown_module_names_the_known(name):
    with pytest.raises(JobError, match="layer4"):
        freeze(build("resnet18", 3), name)


def test_photos_come_in_a_new_order_each_epoch_and_none_is_left_out():
    orders = [
        np.concatenate(shuffled(100, 8, torch.Generator().manual_seed(epoch))) for epoch in (1, 2)
    ]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    # a set sorted by class must not come in batches of one class
    first = shuffled(100, 10, torch.Generator().manual_seed(0))[0]
    assert len(set(first // 25)) > 1


def test_training_itself_takes_the_photos_in_a_new_order_each_epoch(tmp_path):
    photos, labels = feed(tmp_path)
    seen: list[list[int]] = []
    batches = photos.batches

    def recorded(epoch, order):
        seen.append([int(index) for indices in order for index in indices])
        return batches(epoch, order)

    photos.batches = recorded
    learning = learner("head", lr=0.0)
    for epoch in (1, 2):
        train_epoch(learning, photos, labels, epoch, never)
    assert (
        sorted(seen[0]) == sorted(seen[1]) == list(range(21))
        and seen[0] != seen[1]
        and seen[0] != list(range(21))
    )


@pytest.mark.parametrize("count, size", [(9, 8), (17, 8), (1, 8), (16, 8), (3, 1)])
def test_no_batch_of_one_is_left_at_the_end(count, size):
    batches = shuffled(count, size, torch.Generator().manual_seed(0))
    assert sum(map(len, batches)) == count
    assert size == 1 or count == 1 or min(map(len, batches)) > 1


def test_the_epochs_loss_is_the_mean_over_photos_whatever_the_batch_size(tmp_path):
    photos, labels = feed(tmp_path)
    losses = []
    for batch_size in (1, 2, 5, 21):
        learning = learner(
            "head", batch_size=batch_size, lr=0.0, optimizer="sgd", weight_decay=0.0, momentum=0.0
        )
        losses.append(train_epoch(learning, photos, labels, 1, never)["train_loss"])
    assert max(losses) - min(losses) < 1e-5


def test_validation_does_not_depend_on_test_batch_size(tmp_path):
    photos, labels = feed(tmp_path)
    results = [
        validate(learner(test_batch_size=size, top_k=2), photos, labels, never)
        for size in (1, 2, 7, 100)
    ]
    for result in results[1:]:
        assert result["validation_accuracy"] == results[0]["validation_accuracy"]
        assert result["validation_top_2_accuracy"] == results[0]["validation_top_2_accuracy"]
        assert result["validation_loss"] == pytest.approx(results[0]["validation_loss"], abs=1e-5)


def test_class_weights_do_not_make_the_loss_depend_on_company():
    """The step of a batch is the mean of its photos' own steps; cross_entropy's weighted mean would not be."""
    weights = class_weights("balanced", [(0,)] * 8 + [(1,)] * 2, 2)
    np.testing.assert_allclose(weights, [0.625, 2.5])
    samples, wanted = torch.randn(6, 3, 32, 32), one_hot([0, 0, 0, 0, 0, 1], 2)

    def step(chosen: slice) -> torch.Tensor:
        learning = learner(classes=2, lr=0.01, optimizer="sgd", momentum=0.0, weight_decay=0.0)
        learning.class_weights = weights
        learning.network.eval()
        before = learning.network.fc.weight.detach().clone()
        train_step(learning, (samples[chosen],), wanted[chosen], len(wanted[chosen]))
        return learning.network.fc.weight.detach() - before

    alone = torch.stack([step(slice(index, index + 1)) for index in range(6)]).mean(0)
    torch.testing.assert_close(step(slice(0, 6)), alone, atol=1e-6, rtol=1e-3)


def test_an_epoch_done_again_is_the_same_epoch(tmp_path):
    photos, labels = feed(tmp_path, "strong")
    rows = []
    for _ in range(2):
        learning = learner(model="shufflenet_v2_x0_5", augmentation="strong")
        rows.append(train_epoch(learning, photos, labels, 3, never))
    assert rows[0] == rows[1]


def test_a_stop_leaves_in_the_middle_of_an_epoch(tmp_path):
    photos, labels = feed(tmp_path)
    assert train_epoch(learner(), photos, labels, 1, lambda: True) is None
    assert validate(learner(), photos, labels, lambda: True) is None


@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "adamw", "adadelta", "rmsprop"])
def test_every_optimizer_lowers_the_loss(name):
    learning = learner(
        optimizer=name, lr={"adadelta": 1.0}.get(name, 0.005), model="shufflenet_v2_x0_5"
    )
    learning.network.train()
    samples, labels = torch.randn(8, 3, 32, 32), one_hot([0, 1, 2, 0, 1, 2, 0, 1], 3)
    losses = [train_step(learning, (samples,), labels, 8)[0].mean().item() for _ in range(25)]
    assert min(losses[-5:]) < losses[0]


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, [1, 1, 1, 1]),
        (
            {"schedule": "step", "lr_scheduler_step": (1, 3), "lr_scheduler_factor": 0.5},
            [1, 0.5, 0.5, 0.25],
        ),
        ({"schedule": "exponential", "lr_scheduler_factor": 0.001}, [1, 0.1, 0.01, 0.001]),
        ({"schedule": "cosine"}, [1, 0.853553, 0.5, 0.146447]),
        ({"schedule": "cosine", "warmup_epochs": 1}, [0.5, 1, 0.75, 0.25]),
        ({"schedule": "plateau", "lr_scheduler_patience": 2}, [1, 1, 1, 0.1]),
    ],
)
def test_the_learning_rate_of_each_epoch(settings, expected):
    hp = Hyperparameters(lr=1.0, epochs=4, **settings)
    losses = [0.5, 0.6, 0.7]
    rates = [learning_rate(hp, epoch, losses[: epoch - 1]) for epoch in (1, 2, 3, 4)]
    np.testing.assert_allclose(rates, expected, rtol=1e-4)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_views_are_photos_of_the_right_size_and_follow_the_generator(preset):
    pixels = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (5, 36, 36, 3), dtype=np.uint8)
    )
    aspects = torch.tensor([1.0, 1.5, 0.5, 3.0, 0.3])
    views = [
        augment(pixels, aspects, 32, PRESETS[preset], numbers(5, seed, 1)) for seed in (0, 0, 1)
    ]
    assert views[0].shape == (5, 3, 32, 32) and views[0].min() >= 0 and views[0].max() <= 255
    assert torch.equal(views[0], views[1]) and not torch.equal(views[0], views[2])


def test_a_view_of_a_plain_photo_is_the_photo():
    plain = torch.full((8, 40, 40, 3), 200, dtype=torch.uint8)
    views = augment(plain, torch.ones(8), 32, PRESETS["crop"], torch.rand(8, NUMBERS))
    torch.testing.assert_close(views, torch.full((8, 3, 32, 32), 200.0), atol=0.1, rtol=0)


@pytest.mark.parametrize("aspect", [0.4, 4 / 3, 2.0, 3.0])
def test_crops_are_not_distorted(aspect):
    """A circle in a photo of any aspect, squeezed to a square, is a circle again in the views."""
    height, width = 300, round(300 * aspect)
    y, x = np.mgrid[0:height, 0:width]
    circle = (
        (x - width / 2) ** 2 + (y - height / 2) ** 2 < (0.2 * min(width, height)) ** 2
    ).astype(np.uint8) * 255
    stretched = np.asarray(
        Image.fromarray(np.repeat(circle[..., None], 3, axis=2)).resize((256, 256))
    )
    preset = dataclasses.replace(PRESETS["crop"], aspect=(1.0, 1.0))
    ratios = []
    for seed in range(30):
        view = (
            augment(
                torch.from_numpy(stretched[None].copy()),
                torch.tensor([aspect]),
                224,
                preset,
                numbers(1, seed, 1),
            )[0, 0]
            > 127
        )
        rows, columns = view.any(1), view.any(0)
        if not (rows[0] or rows[-1] or columns[0] or columns[-1]) and rows.any():
            ratios.append(columns.sum().item() / rows.sum().item())
    assert len(ratios) > 5 and all(0.9 < ratio < 1.1 for ratio in ratios)


def test_top_k():
    assert is_in_top_k(torch.tensor([[3, 2, 1], [3, 2, 1.0]]), one_hot([1, 2], 3), 2).tolist() == [
        True,
        False,
    ]


def test_targets_and_rightness_of_several_labels():
    wanted = multi_hot(padded([(0,), (0, 2), (1,)], 3), 3)
    assert wanted.tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    scores = torch.tensor([[2.0, -1, -1], [2, -1, -1], [1, 3, -2]])
    assert is_correct(scores, wanted, multi_label=True).tolist() == [True, False, False]
    assert is_correct(scores, wanted, multi_label=False).tolist() == [True, True, True]


@pytest.mark.parametrize("multi_label", [False, True])
def test_losses_are_those_of_torch(multi_label):
    torch.manual_seed(0)
    logits, wanted, weights = (
        torch.randn(5, 3),
        one_hot([0, 1, 2, 0, 1], 3),
        torch.tensor([1.0, 2.0, 0.5]),
    )
    ours = losses(logits, wanted, multi_label, weights, 0.1)
    if multi_label:
        smooth = wanted * 0.9 + 0.05
        expected = -(
            weights
            * (smooth * logits.sigmoid().log() + (1 - smooth) * (1 - logits.sigmoid()).log())
        ).mean(1)
    else:
        expected = torch.nn.functional.cross_entropy(
            logits, wanted.argmax(1), weights, reduction="none", label_smoothing=0.1
        )
    torch.testing.assert_close(ours, expected)
