"""Each optimizer gets its own hyperparameters; rates and class weights at their bounds."""

import dataclasses

import numpy as np
import pytest
import torch

from recipes.hyperparameters import Hyperparameters
from train.learning.optimization import class_weights, learning_rate, make_optimizer

SETTINGS = Hyperparameters(
    lr=0.25,
    momentum=0.5,
    weight_decay=0.125,
    beta_1=0.75,
    beta_2=0.875,
    eps=0.0625,
    gamma=0.375,
)
COMMON = {"lr": 0.25, "weight_decay": 0.125}
ADAM = {**COMMON, "betas": (0.75, 0.875), "eps": 0.0625, "fused": True}


@pytest.mark.parametrize(
    "name, kind, expected",
    [
        ("sgd", torch.optim.SGD, {**COMMON, "momentum": 0.5, "nesterov": False, "fused": True}),
        ("nag", torch.optim.SGD, {**COMMON, "momentum": 0.5, "nesterov": True, "fused": True}),
        ("adam", torch.optim.Adam, ADAM),
        ("adamw", torch.optim.AdamW, ADAM),
        ("adadelta", torch.optim.Adadelta, {**COMMON, "rho": 0.375, "eps": 0.0625}),
        (
            "rmsprop",
            torch.optim.RMSprop,
            {**COMMON, "alpha": 0.375, "eps": 0.0625, "momentum": 0.5},
        ),
    ],
)
def test_each_optimizer_has_its_hyperparameters(name, kind, expected):
    hp = dataclasses.replace(SETTINGS, optimizer=name)
    optimizer = make_optimizer([torch.nn.Parameter(torch.ones(2))], hp)
    assert type(optimizer) is kind
    [group] = optimizer.param_groups
    assert {key: group[key] for key in expected} == expected


def test_nag_without_momentum_is_plain_sgd():
    hp = Hyperparameters(optimizer="nag", momentum=0.0)
    optimizer = make_optimizer([torch.nn.Parameter(torch.ones(2))], hp)
    assert optimizer.param_groups[0]["nesterov"] is False


@pytest.mark.parametrize(
    "settings, losses, epoch, expected",
    [
        # a single epoch takes the whole rate
        ({"epochs": 1, "schedule": "exponential"}, [], 1, 2.0),
        ({"epochs": 1, "schedule": "cosine"}, [], 1, 2.0),
        ({"epochs": 2, "schedule": "exponential", "lr_scheduler_factor": 0.5}, [], 2, 1.0),
        # the rise to the rate, which the first epoch after it has
        ({"warmup_epochs": 3}, [], 1, 0.5),
        ({"warmup_epochs": 3}, [], 3, 1.5),
        ({"warmup_epochs": 3}, [], 4, 2.0),
        ({"epochs": 4, "warmup_epochs": 3, "schedule": "cosine"}, [], 4, 2.0),
        # a loss that only equals the lowest is not a new lowest one
        ({"schedule": "plateau", "lr_scheduler_patience": 2}, [1, 1], 3, 2.0),
        ({"schedule": "plateau", "lr_scheduler_patience": 2}, [1, 1, 1], 4, 0.2),
        ({"schedule": "plateau", "lr_scheduler_patience": 2}, [1, 1, 1, 1], 5, 0.2),
        ({"schedule": "plateau", "lr_scheduler_patience": 2}, [1, 1, 1, 1, 1], 6, 0.02),
        ({"schedule": "plateau", "lr_scheduler_patience": 2}, [3, 2, 3, 1, 2], 6, 2.0),
        ({"schedule": "plateau", "lr_scheduler_patience": 1}, [3, 2, 3, 1, 2], 6, 0.02),
    ],
)
def test_the_rate_of_an_epoch(settings, losses, epoch, expected):
    hp = Hyperparameters(**{"lr": 2.0, "lr_scheduler_factor": 0.1, **settings})
    assert learning_rate(hp, epoch, losses) == pytest.approx(expected)


@pytest.mark.parametrize(
    "labels, classes, expected",
    [
        ([(0,), (0,), (0,), (1,)], 2, [4 / 6, 2.0]),
        # a class without photos weighs as one of a single photo
        ([(0,), (0,), (1,)], 3, [0.5, 1.0, 1.0]),
        # several labels of a photo all count
        ([(0, 1), (1,), (1,)], 2, [2.0, 2 / 3]),
    ],
)
def test_class_weights_are_inverse_to_the_number_of_photos(labels, classes, expected):
    weights = class_weights("balanced", labels, classes)
    assert weights is not None
    assert weights.dtype == torch.float32
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert class_weights("none", labels, classes) is None
