"""Optimizers and the learning rate of each epoch."""

import numpy as np
import pytest
import torch

from recipes.hyperparameters import Hyperparameters
from tests.support.learners import make_learner, one_hot
from train.learning.loop import train_step
from train.learning.optimization import learning_rate

pytestmark = pytest.mark.training


@pytest.mark.parametrize("name", ["sgd", "nag", "adam", "adamw", "adadelta", "rmsprop"])
def test_every_optimizer_lowers_the_loss(name):
    lr = 1.0 if name == "adadelta" else 0.005
    learner = make_learner(optimizer=name, lr=lr, model="shufflenet_v2_x0_5")
    learner.network.train()
    samples = torch.randn(8, 3, 32, 32)
    targets = one_hot([0, 1, 2, 0, 1, 2, 0, 1], 3)
    losses = []
    for _ in range(25):
        photo_losses, _ = train_step(learner, (samples,), targets, 8)
        losses.append(photo_losses.mean().item())
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
