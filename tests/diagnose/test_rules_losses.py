"""Rules on losses, on trainings that do and do not trigger them."""

import pytest
import torch
from torch import nn

from tests.support.watched_training import (
    evaluate,
    issue,
    linear,
    mlp,
    photos,
    small_network,
    watch,
)

pytestmark = pytest.mark.training


def test_overfit_on_20_photos(tmp_path):
    watch(
        tmp_path,
        small_network(),
        train=photos(20),  # few enough to learn by heart
        validation=photos(60, seed=1),
        epochs=30,
        steps=1,
    )
    finding = issue(tmp_path, "Overfit")
    assert finding.mode == "EVAL"
    assert finding.value > 0.1
    later = issue(tmp_path, "Overfit", patience=3)
    assert later.step > finding.step
    assert not evaluate(tmp_path, "Overfit", ratio_threshold=1e6).fired


def test_overtraining_after_all_is_learned(tmp_path, stuck):
    watch(
        tmp_path,
        small_network(),
        train=photos(60),
        validation=photos(60, seed=1),
        epochs=40,
        steps=1,
        lr=0.2,
    )
    finding = issue(tmp_path, "Overtraining")
    assert finding.mode_step > 5
    by_validation = issue(tmp_path, "Overtraining", patience_train=100, patience_validation=3)
    assert by_validation.mode == "EVAL"
    assert issue(stuck, "Overtraining").mode == "TRAIN"


def test_loss_not_decreasing(stuck, healthy):
    # the first step that has another one num_steps before it
    assert issue(stuck, "LossNotDecreasing", mode="TRAIN").mode_step == 10
    by_validation = issue(healthy, "LossNotDecreasing", diff_percent=99.0, mode="eval")
    assert by_validation.mode == "EVAL"
    assert not evaluate(healthy, "LossNotDecreasing", mode="TRAIN", num_steps=40).fired


def test_loss_not_decreasing_accepts_a_small_rise(tmp_path):
    network = mlp(nn.Tanh, 1)

    def worsen(step: int) -> None:
        with torch.no_grad():
            linear(network, 5).bias[0] += 0.2

    watch(tmp_path, network, train=photos(48), epochs=12, steps=1, lr=1e-14, after_step=worsen)
    assert not evaluate(tmp_path, "LossNotDecreasing", increase_threshold_percent=60).fired
    assert evaluate(tmp_path, "LossNotDecreasing", increase_threshold_percent=0).fired
