"""Rules on activations, photos, labels and predictions, with trainings that trigger them or not."""

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


@pytest.mark.parametrize(("activation", "name"), [(nn.Tanh, "tanh"), (nn.Sigmoid, "sigmoid")])
def test_saturated_activation(tmp_path, activation, name):
    network = mlp(activation, 1)
    with torch.no_grad():
        linear(network, 1).weight.mul_(1e5)
    watch(tmp_path, network, epochs=1, lr=0.0)
    finding = issue(tmp_path, "SaturatedActivation")
    assert finding.tensor == f"2.{name}_input_0"
    assert finding.value > 50
    watch(tmp_path, mlp(activation, 1), epochs=1)
    assert evaluate(tmp_path, "SaturatedActivation").status == "NoIssuesFound"


def test_class_imbalance(tmp_path):
    values, labels = photos(600)
    by_class = [(labels == label).nonzero()[:, 0] for label in range(3)]
    uneven = torch.cat([by_class[0], by_class[1], by_class[2][:10]])  # 200, 200 and 10 photos
    train = (values[uneven], labels[uneven])
    watch(tmp_path, small_network(), train=train, epochs=2, steps=4, lr=1e-6)
    finding = issue(tmp_path, "ClassImbalance", samples=410)
    assert finding.value == 20  # 200 photos against 10
    assert "class 2" in finding.sentence
    mistaken = issue(
        tmp_path,
        "ClassImbalance",
        defaults="sagemaker",
        samples=410,
        threshold_imbalance=100,
        threshold_misprediction=0.01,
    )
    assert "wrongly" in mistaken.sentence
    # A network that knows no class yet says nothing of a rare one.
    lenient = {"samples": 410, "threshold_imbalance": 100}
    assert not evaluate(tmp_path, "ClassImbalance", **lenient).fired


def test_confusion_in_a_training_that_has_just_begun(healthy):
    finding = issue(healthy, "Confusion")
    assert finding.mode == "EVAL"
    assert finding.value < 0.9


def test_no_confusion_after_all_is_learned(tmp_path):
    watch(tmp_path, small_network(), train=photos(300), epochs=6, steps=4, lr=0.1)
    assert not evaluate(tmp_path, "Confusion", start_step=20).fired
    watch(
        tmp_path,
        small_network(),
        train=photos(300),
        validation=photos(60, seed=1),
        epochs=6,
        steps=4,
        lr=0.1,
    )
    assert evaluate(tmp_path, "Confusion", start_step=25).status == "NoIssuesFound"


def test_check_input_images(tmp_path):
    # the rule wants 500 photos, which the fifth step completes
    watch(tmp_path, small_network(), train=photos(510, mean=0.5), epochs=1)
    finding = issue(tmp_path, "CheckInputImages", defaults="sagemaker")
    assert finding.value == pytest.approx(0.5, abs=0.01)
    assert finding.step == 4
    assert not evaluate(
        tmp_path, "CheckInputImages", threshold_mean=0.6, defaults="sagemaker"
    ).fired
    # The preprocessing has left values on both sides of 0: it subtracted something.
    assert evaluate(tmp_path, "CheckInputImages").status == "NoIssuesFound"


def test_check_input_images_of_which_nothing_was_subtracted(tmp_path):
    values, labels = photos(120)
    watch(tmp_path, small_network(), train=(values.sigmoid(), labels), epochs=1)
    finding = issue(tmp_path, "CheckInputImages")
    assert finding.value == pytest.approx(0.5, abs=0.05)
