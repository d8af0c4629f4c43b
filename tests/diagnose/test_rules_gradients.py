"""Rules on gradients, numbers and initialization, on trainings that do and do not trigger them."""

import math

import pytest
import torch
from torch import nn

from tests.support.watched_training import (
    CLASSES,
    EVERY_STEP,
    evaluate,
    issue,
    linear,
    mlp,
    photos,
    watch,
)
from train.recording.debug_settings import DebugSettings

pytestmark = pytest.mark.training

WHOLE = DebugSettings(train_interval=1, sample=0)


def test_vanishing_gradient_in_a_deep_sigmoid_network(tmp_path):
    # a sigmoid passes on a quarter of a gradient at most: 0.25 ** 15 is 1e-9
    watch(tmp_path, mlp(nn.Sigmoid, 14), epochs=1)
    finding = issue(tmp_path, "VanishingGradient")
    assert finding.tensor == "gradient/Sequential_1.weight"
    assert finding.threshold == 1e-7  # the documented default
    assert 0 < finding.value < finding.threshold
    assert finding.mode == "TRAIN"
    assert finding.step == 1, "the first step is warm-up"
    assert issue(tmp_path, "VanishingGradient", defaults="sagemaker").step == 0
    assert not evaluate(tmp_path, "VanishingGradient", threshold=0.0).fired


def test_a_bias_before_batchnorm_has_no_gradient_and_does_not_fire(tmp_path):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES)
    )
    watch(tmp_path, network, epochs=1)
    assert not evaluate(tmp_path, "VanishingGradient").fired


@pytest.mark.parametrize("settings", [EVERY_STEP, WHOLE], ids=["sampled", "whole"])
def test_exploding_tensor_with_lr_1000(tmp_path, settings):
    watch(tmp_path, mlp(nn.ReLU, 3), lr=1e3, settings=settings)
    finding = issue(tmp_path, "ExplodingTensor")
    assert not math.isfinite(finding.value)
    assert issue(tmp_path, "ExplodingTensor", only_nan=True).step >= finding.step


def test_exploding_tensor_sees_one_bad_value_among_many(tmp_path):
    network = mlp(nn.ReLU, 1, width=256)

    def spoil(step: int) -> None:
        if step == 3:
            with torch.no_grad():
                linear(network, 3).weight[100, 101] = float("inf")

    watch(tmp_path, network, epochs=1, after_step=spoil)
    finding = issue(tmp_path, "ExplodingTensor", collection_names="weights")
    assert finding.step == 3
    assert finding.tensor == "Sequential_3.weight"
    assert math.isinf(finding.value)
    early = evaluate(tmp_path, "ExplodingTensor", collection_names="weights", end_step=3)
    assert not early.fired


@pytest.mark.parametrize(
    ("factors", "epochs", "lr", "parameters", "words"),
    [
        ((1.0, 30.0, 1.0), 1, 0.05, {}, "vary"),
        ((1.0, 1.0, 1e-9), 1, 0.05, {"threshold": 1e9}, "narrow"),
        (
            (1.0, 1.0, 1.0),
            8,
            1e-14,
            {"threshold": 1e9, "distribution_range": 1e-9, "loss_margin": 0},
            "fallen",
        ),
    ],
    ids=["variances", "gradients", "loss"],
)
def test_poor_weight_initialization(tmp_path, factors, epochs, lr, parameters, words):
    network = mlp(nn.ReLU, 1, width=64)
    with torch.no_grad():
        for index, factor in zip((1, 3, 5), factors, strict=True):
            linear(network, index).weight.mul_(factor)
    watch(tmp_path, network, train=photos(48), epochs=epochs, steps=1, lr=lr)
    finding = issue(tmp_path, "PoorWeightInitialization", **parameters)
    assert words in finding.sentence
