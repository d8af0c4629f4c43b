"""Rules on losses, on trainings that do and do not trigger them."""

import pytest
import torch
from torch import nn

from diagnose.smoothed_loss import stands_still
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


def test_overfit_on_wrong_labels(tmp_path):
    values, labels = photos(20)  # few enough to learn by heart
    watch(
        tmp_path,
        small_network(),
        train=(values, labels.roll(7)),
        validation=photos(60, seed=1),
        epochs=30,
        steps=1,
    )
    finding = issue(tmp_path, "Overfit")
    assert finding.mode == "EVAL"
    assert finding.value > 0.1
    later = issue(tmp_path, "Overfit", patience=6)
    assert later.step > finding.step
    assert not evaluate(tmp_path, "Overfit", ratio_threshold=1e6).fired
    documented = issue(tmp_path, "Overfit", defaults="sagemaker")
    assert documented.step <= finding.step, "by SageMaker's defaults one pass is enough"


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
    by_validation = issue(
        tmp_path, "Overtraining", both=False, patience_train=100, patience_validation=3
    )
    assert by_validation.mode == "EVAL"
    assert evaluate(stuck, "Overtraining").fired
    assert issue(stuck, "Overtraining", defaults="sagemaker").mode == "TRAIN"


def test_loss_not_decreasing(stuck, healthy):
    # the first step that has another one num_steps before it
    documented = {"defaults": "sagemaker"}
    assert issue(stuck, "LossNotDecreasing", mode="TRAIN", **documented).mode_step == 10
    by_validation = issue(
        healthy, "LossNotDecreasing", diff_percent=99.0, mode="eval", **documented
    )
    assert by_validation.mode == "EVAL"
    assert not evaluate(
        healthy, "LossNotDecreasing", mode="TRAIN", num_steps=40, **documented
    ).fired


def test_loss_not_decreasing_smoothed(stuck, healthy):
    assert evaluate(stuck, "LossNotDecreasing").fired
    finding = issue(stuck, "LossNotDecreasing", mode="TRAIN")
    assert finding.mode_step == 9, "twice as many losses as are smoothed into one"
    assert "nothing is learned" in finding.sentence
    assert evaluate(healthy, "LossNotDecreasing").status == "NoIssuesFound"


NOISE = [0.1, -0.2, 0.3, -0.1, 0.2, -0.3, 0.0, 0.1, -0.2, 0.1]
ROWS: list[tuple[str, list[float], bool]] = [
    ("falls through noise", [2.0 - 0.1 * step + NOISE[step] for step in range(10)], False),
    ("stands still", [2.0 + NOISE[step] / 10 for step in range(10)], True),
    ("stands still, too few", [2.0] * 9, False),
    ("all is learned", [0.02] * 20, False),
    ("solved before", [0.3 + NOISE[step % 10] / 10 for step in range(20)], False),
    ("diverges at once", [1.6, 300.0, 80.0, 50.0, 40.0], True),
    ("loses what it had", [2.0] + [0.5] * 10 + [1.9] * 5, True),
    ("one bad batch", [2.0, 1.0, 0.8, 0.7, 0.6, 0.5, 2.5, 0.5, 0.4, 0.4, 0.4], False),
]


@pytest.mark.parametrize(("name", "losses", "fires"), ROWS, ids=[row[0] for row in ROWS])
def test_a_smoothed_loss(name, losses, fires):
    found = [stands_still(losses[:end], 5, 2.0, 50.0) for end in range(1, len(losses) + 1)]
    assert any(found) == fires, name


def test_loss_not_decreasing_accepts_a_small_rise(tmp_path):
    network = mlp(nn.Tanh, 1)

    def worsen(step: int) -> None:
        with torch.no_grad():
            linear(network, 5).bias[0] += 0.2

    watch(tmp_path, network, train=photos(48), epochs=12, steps=1, lr=1e-14, after_step=worsen)
    documented = {"defaults": "sagemaker"}
    assert not evaluate(
        tmp_path, "LossNotDecreasing", increase_threshold_percent=60, **documented
    ).fired
    assert evaluate(tmp_path, "LossNotDecreasing", increase_threshold_percent=0, **documented).fired
