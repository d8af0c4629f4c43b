"""Each rule on a real small training that should trigger it, and on ones that should not."""

import math

import pytest
import torch
from torch import nn

from diagnose.evaluation import evaluate_tensors
from diagnose.registry import MODULES, load, parameters_of
from tests.support.watched_training import CLASSES, photos, small_network, watch
from train.recording.debug_settings import DebugSettings

WHOLE = DebugSettings(train_interval=1, sample=0)


def evaluate(root, rule: str, **parameters):
    (finding,) = evaluate_tensors(root, [rule], {rule: parameters})
    return finding


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """A training as it should be: it learns, validation keeps up, and it ends before the losses stand still."""
    root = tmp_path_factory.mktemp("healthy")
    watch(
        root,
        small_network(),
        train=photos(600),
        validation=photos(240, 1),
        epochs=13,
        steps=4,
        lr=0.004,
        batch=150,
    )
    return root


@pytest.fixture(scope="session")
def stuck(tmp_path_factory):
    """A training whose lr is as good as 0."""
    root = tmp_path_factory.mktemp("stuck")
    watch(
        root,
        small_network(),
        train=photos(48),
        validation=photos(48, 1),
        epochs=12,
        steps=1,
        lr=1e-14,
    )
    return root


def test_a_healthy_training_fires_nothing(healthy):
    findings = evaluate_tensors(healthy)
    assert [
        finding.describe() for finding in findings if finding.fired or finding.status == "Error"
    ] == []
    assert {
        finding.rule: finding.steps for finding in findings if finding.status == "NotJudged"
    } == {"SaturatedActivation": 0}


def mlp(activation: type[nn.Module], layers: int, width: int = 16) -> nn.Sequential:
    torch.manual_seed(0)
    parts: list[nn.Module] = [nn.Flatten(), nn.Linear(192, width), activation()]
    for _ in range(layers):
        parts += [nn.Linear(width, width), activation()]
    return nn.Sequential(*parts, nn.Linear(width, CLASSES))


def test_vanishing_gradient_in_a_deep_sigmoid_network(tmp_path):
    watch(tmp_path, mlp(nn.Sigmoid, 14), epochs=1)
    finding = evaluate(tmp_path, "VanishingGradient")
    assert (
        finding.fired
        and finding.tensor == "gradient/Sequential_1.weight"
        and 0 < finding.value < finding.threshold == 1e-7
    )
    assert (finding.mode, finding.step) == ("TRAIN", 0)
    assert not evaluate(tmp_path, "VanishingGradient", threshold=0.0).fired


def test_a_bias_before_batchnorm_has_no_gradient_and_that_is_well(tmp_path):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, CLASSES)
    )
    watch(tmp_path, network, epochs=1)
    assert not evaluate(tmp_path, "VanishingGradient").fired


@pytest.mark.parametrize(
    "settings", [DebugSettings(train_interval=1), WHOLE], ids=["sampled", "whole"]
)
def test_exploding_tensor_with_lr_1000(tmp_path, settings):
    watch(tmp_path, mlp(nn.ReLU, 3), lr=1e3, settings=settings)
    finding = evaluate(tmp_path, "ExplodingTensor")
    assert finding.fired and not math.isfinite(finding.value)
    assert evaluate(tmp_path, "ExplodingTensor", only_nan=True).step >= finding.step


def test_exploding_tensor_sees_one_bad_value_among_many(tmp_path):
    network = mlp(nn.ReLU, 1, width=256)

    def spoil(step: int) -> None:
        if step == 3:
            with torch.no_grad():
                network[3].weight[100, 101] = float("inf")

    watch(tmp_path, network, epochs=1, after_step=spoil)
    found = evaluate(tmp_path, "ExplodingTensor", collection_names="weights")
    assert (
        found.fired
        and found.step == 3
        and found.tensor == "Sequential_3.weight"
        and math.isinf(found.value)
    )
    assert not evaluate(tmp_path, "ExplodingTensor", collection_names="weights", end_step=3).fired


@pytest.mark.parametrize(
    ("factors", "steps", "expected"),
    [
        ((1.0, 30.0, 1.0), 1, "vary"),
        ((1.0, 1.0, 1e-9), 1, "narrow"),
        ((1.0, 1.0, 1.0), 8, "fallen"),
    ],
    ids=["variances", "gradients", "loss"],
)
def test_poor_weight_initialization(tmp_path, factors, steps, expected):
    network = mlp(nn.ReLU, 1, width=64)
    with torch.no_grad():
        for layer, factor in zip((network[1], network[3], network[5]), factors):
            layer.weight *= factor
    lr = 1e-14 if expected == "fallen" else 0.05
    watch(tmp_path, network, train=photos(48), epochs=steps, steps=1, lr=lr)
    finding = evaluate(
        tmp_path,
        "PoorWeightInitialization",
        **(
            {"threshold": 1e9, "distribution_range": 1e-9}
            if expected == "fallen"
            else {"threshold": 1e9}
            if expected == "narrow"
            else {}
        ),
    )
    assert finding.fired and expected in finding.sentence, finding


def test_overfit_on_20_photos(tmp_path, healthy):
    watch(tmp_path, small_network(), train=photos(20), validation=photos(60, 1), epochs=30, steps=1)
    finding = evaluate(tmp_path, "Overfit")
    assert finding.fired and finding.mode == "EVAL" and finding.value > 0.1
    later = evaluate(tmp_path, "Overfit", patience=3)
    assert later.fired and later.step > finding.step
    assert not evaluate(tmp_path, "Overfit", ratio_threshold=1e6).fired


def test_overtraining_after_all_is_learned(tmp_path, stuck):
    watch(
        tmp_path,
        small_network(),
        train=photos(60),
        validation=photos(60, 1),
        epochs=40,
        steps=1,
        lr=0.2,
    )
    finding = evaluate(tmp_path, "Overtraining")
    assert finding.fired and finding.mode_step > 5
    assert (
        evaluate(tmp_path, "Overtraining", patience_train=100, patience_validation=3).mode == "EVAL"
    )
    assert evaluate(stuck, "Overtraining").mode == "TRAIN"


def test_loss_not_decreasing(stuck, healthy):
    assert evaluate(stuck, "LossNotDecreasing", mode="TRAIN").mode_step == 10
    assert evaluate(healthy, "LossNotDecreasing", diff_percent=99.0, mode="eval").mode == "EVAL"
    assert not evaluate(healthy, "LossNotDecreasing", mode="TRAIN", num_steps=40).fired


def test_loss_not_decreasing_lets_a_small_rise_pass(tmp_path):
    network = mlp(nn.Tanh, 1)

    def worsen(step: int) -> None:
        with torch.no_grad():
            network[5].bias[0] += 0.2

    watch(tmp_path, network, train=photos(48), epochs=12, steps=1, lr=1e-14, after_step=worsen)
    assert not evaluate(tmp_path, "LossNotDecreasing", increase_threshold_percent=60).fired
    assert evaluate(tmp_path, "LossNotDecreasing", increase_threshold_percent=0).fired


def test_weight_update_ratio(tmp_path, stuck, healthy):
    watch(tmp_path, mlp(nn.ReLU, 1), epochs=1, lr=1e3)
    large = evaluate(tmp_path, "WeightUpdateRatio")
    assert large.fired and large.value > large.threshold == 10
    small = evaluate(stuck, "WeightUpdateRatio")
    assert small.fired and small.value < small.threshold == 1e-8
    assert not evaluate(healthy, "WeightUpdateRatio", num_steps=8).fired


def test_frozen_layers_are_no_fault_of_the_weights(tmp_path):
    network = small_network()
    for parameter in network[:5].parameters():
        parameter.requires_grad = False
    watch(tmp_path, network)
    for rule in ("WeightUpdateRatio", "UnchangedTensor", "AllZero"):
        assert evaluate(tmp_path, rule).status == "NoIssuesFound"


def test_unchanged_tensor(stuck, healthy):
    finding = evaluate(stuck, "UnchangedTensor")
    assert finding.fired and finding.mode_step == 2
    assert evaluate(healthy, "UnchangedTensor", tensor_regex="CrossEntropyLoss", rtol=10.0).fired


def dead_network() -> nn.Sequential:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(288, CLASSES)
    )
    nn.init.constant_(network[0].bias, -100.0)
    return network


@pytest.mark.parametrize(
    "settings", [DebugSettings(train_interval=1), WHOLE], ids=["activity", "whole"]
)
def test_dead_relus_by_a_large_negative_bias(tmp_path, settings):
    watch(tmp_path, dead_network(), epochs=1, settings=settings)
    finding = evaluate(tmp_path, "DeadRelu")
    assert (
        finding.fired
        and finding.value == 100
        and finding.threshold == 50
        and finding.tensor.startswith("1.relu_")
    )
    assert not evaluate(tmp_path, "DeadRelu", threshold_layer=100.0).fired


@pytest.mark.parametrize(
    "settings", [DebugSettings(train_interval=1), WHOLE], ids=["sampled", "whole"]
)
def test_all_zero_behind_dead_relus(tmp_path, settings):
    watch(tmp_path, dead_network(), epochs=1, settings=settings)
    finding = evaluate(tmp_path, "AllZero")
    assert (
        finding.fired
        and finding.tensor in ("gradient/Sequential_0.weight", "gradient/Sequential_3.weight")
        and finding.value == 100
    )
    assert not evaluate(tmp_path, "AllZero", collection_names="weights").fired


@pytest.mark.parametrize(("activation", "name"), [(nn.Tanh, "tanh"), (nn.Sigmoid, "sigmoid")])
def test_saturated_activation(tmp_path, activation, name):
    network = mlp(activation, 1)
    with torch.no_grad():
        network[1].weight *= 1e5
    watch(tmp_path, network, epochs=1, lr=0.0)
    finding = evaluate(tmp_path, "SaturatedActivation")
    assert finding.fired and finding.tensor == f"2.{name}_input_0" and finding.value > 50
    watch(tmp_path, mlp(activation, 1), epochs=1)
    assert evaluate(tmp_path, "SaturatedActivation").status == "NoIssuesFound"


def test_class_imbalance(tmp_path):
    values, labels = photos(600)
    rare = torch.cat(
        [
            (labels == 0).nonzero()[:, 0],
            (labels == 1).nonzero()[:, 0],
            (labels == 2).nonzero()[:10, 0],
        ]
    )
    watch(tmp_path, small_network(), train=(values[rare], labels[rare]), epochs=2, steps=4, lr=1e-6)
    finding = evaluate(tmp_path, "ClassImbalance", samples=410)
    assert finding.fired and finding.value == 20 and "class 2" in finding.sentence
    mistaken = evaluate(
        tmp_path,
        "ClassImbalance",
        samples=410,
        threshold_imbalance=100,
        threshold_misprediction=0.01,
    )
    assert mistaken.fired and "wrongly" in mistaken.sentence


def test_confusion(tmp_path, healthy):
    finding = evaluate(healthy, "Confusion")
    assert finding.fired and finding.mode == "EVAL" and finding.value < 0.9
    watch(tmp_path, small_network(), train=photos(300), epochs=6, steps=4, lr=0.1, close=True)
    assert not evaluate(tmp_path, "Confusion", start_step=20).fired
    watch(
        tmp_path,
        small_network(),
        train=photos(300),
        validation=photos(60, 1),
        epochs=6,
        steps=4,
        lr=0.1,
    )
    assert evaluate(tmp_path, "Confusion", start_step=25).status == "NoIssuesFound"


def test_similar_across_runs(tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        watch(tmp_path / folder, small_network(seed), epochs=1)
    assert (
        evaluate(tmp_path / "a", "SimilarAcrossRuns", other_trials=str(tmp_path / "b")).status
        == "NoIssuesFound"
    )
    finding = evaluate(
        tmp_path / "a",
        "SimilarAcrossRuns",
        other_trials=f"{tmp_path / 'b'},{tmp_path / 'c'}",
        collection_names="weights",
    )
    assert finding.fired and finding.step == 0 and finding.value > 0


def test_check_input_images(tmp_path):
    watch(tmp_path, small_network(), train=photos(510, mean=0.5), epochs=1)
    finding = evaluate(tmp_path, "CheckInputImages")
    assert finding.fired and finding.value == pytest.approx(0.5, abs=0.01) and finding.step == 4
    assert not evaluate(tmp_path, "CheckInputImages", threshold_mean=0.6).fired


# SageMaker's documentation; None where it says that there is no default
DOCUMENTED = {
    "VanishingGradient": {"threshold": 1e-7},
    "ExplodingTensor": {"collection_names": None, "tensor_regex": None, "only_nan": False},
    "PoorWeightInitialization": {
        "activation_inputs_regex": ".*relu_input",
        "threshold": 10.0,
        "distribution_range": 0.001,
        "patience": 5,
        "steps": 10,
    },
    "DeadRelu": {
        "tensor_regex": ".*relu_output",
        "threshold_inactivity": 1.0,
        "threshold_layer": 50.0,
    },
    "SaturatedActivation": {
        "tensor_regex": ".*tanh_input|.*sigmoid_input",
        "threshold_tanh_min": -9.4999,
        "threshold_tanh_max": 9.4999,
        "threshold_sigmoid_min": -23,
        "threshold_sigmoid_max": 16.99999,
        "threshold_inactivity": 1.0,
        "threshold_layer": 50.0,
    },
    "WeightUpdateRatio": {
        "num_steps": None,
        "large_threshold": 10.0,
        "small_threshold": 1e-8,
        "epsilon": 1e-9,
    },
    "AllZero": {"collection_names": None, "tensor_regex": None, "threshold": 100},
    "UnchangedTensor": {
        "collection_names": None,
        "tensor_regex": None,
        "num_steps": 3,
        "rtol": 1e-5,
        "atol": 1e-8,
        "equal_nan": False,
    },
    "LossNotDecreasing": {
        "collection_names": None,
        "tensor_regex": None,
        "use_losses_collection": True,
        "num_steps": 10,
        "diff_percent": 0.1,
        "increase_threshold_percent": 5,
        "mode": None,
    },
    "Overfit": {"tensor_regex": None, "start_step": 0, "patience": 1, "ratio_threshold": 0.1},
    "Overtraining": {"patience_train": 5, "patience_validation": 10, "delta": 0.01},
    "ClassImbalance": {
        "threshold_imbalance": 10,
        "threshold_misprediction": 0.7,
        "samples": 500,
        "argmax": False,
        "labels_regex": ".*labels",
        "predictions_regex": ".*predictions",
    },
    "Confusion": {
        "category_no": None,
        "labels": "labels",
        "predictions": "predictions",
        "labels_collection": "labels",
        "predictions_collection": "predictions",
        "min_diag": 0.9,
        "max_off_diag": 0.1,
    },
    "SimilarAcrossRuns": {"other_trials": None, "collection_names": None, "tensor_regex": None},
    "CheckInputImages": {
        "threshold_mean": 0.2,
        "threshold_samples": 500,
        "regex": ".*hybridsequential0_input_0",
        "channel": 1,
    },
}


@pytest.mark.parametrize("name", MODULES)
def test_parameters_and_defaults_are_the_documented_ones(name):
    found = {
        key: None if entry.default is entry.empty else entry.default
        for key, entry in parameters_of(load(name)).items()
    }
    assert found == DOCUMENTED[name]
