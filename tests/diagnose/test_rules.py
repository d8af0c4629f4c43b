"""All rules together: a good training fires none; parameters are the documented ones."""

import pytest

from diagnose.diagnosis import with_defaults
from diagnose.evaluation import evaluate_tensors
from diagnose.findings import DiagnoseError
from diagnose.registry import MODULES, load, parameters_of, settings


def test_a_healthy_training_fires_nothing(healthy):
    findings = evaluate_tensors(healthy)
    issues = [finding for finding in findings if finding.fired or finding.status == "Error"]
    assert [finding.describe() for finding in issues] == []
    without_tensors = [finding for finding in findings if finding.status == "NotJudged"]
    assert [finding.rule for finding in without_tensors] == ["SaturatedActivation"]
    assert without_tensors[0].steps == 0


# parameters that SageMaker's rules do not have, and the values without an effect
SWITCHED_OFF: dict[str, tuple[object, ...]] = {
    "loss_above": (0.0,),
    "warmup_steps": (0,),
    "loss_margin": (0.0,),
    "rise": (0.0,),
    "both": (False,),
    "smoothing": (0,),
    "recent": (0,),
    "others": (1.0,),
    "one_sided": (False,),
}
# SageMaker's documentation; None where it says "no default"
DOCUMENTED: dict[str, dict[str, object]] = {
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
def test_documented_parameters_and_defaults_are_there_by_name(name):
    rule = load(name)
    found: dict[str, object] = {}
    required: dict[str, object] = {}  # each must be given
    for key, entry in parameters_of(rule).items():
        if entry.default is entry.empty:
            required[key] = "given"
        found[key] = None if entry.default is entry.empty else entry.default
    documented, _ = settings(name, rule, {"defaults": "sagemaker", **required})
    found |= {key: value for key, value in documented.items() if key not in required}
    expected: dict[str, object] = DOCUMENTED[name]
    known = {key: value for key, value in found.items() if key in expected}
    assert known == expected
    # What SageMaker's rules do not have is switched off.
    for key in found.keys() - known.keys():
        assert documented[key] in SWITCHED_OFF[key], key


def test_ours_and_what_is_given_come_before_sagemakers():
    rule = load("Overfit")
    assert settings("Overfit", rule, {"defaults": "ours"})[0] == {}
    given: dict[str, object] = {"patience": "7", "defaults": "sagemaker"}
    assert settings("Overfit", rule, given)[0] == {"patience": 7, "rise": 0.0}
    with pytest.raises(DiagnoseError, match="defaults must be ours or sagemaker; found 'aws'"):
        settings("Overfit", rule, {"defaults": "aws"})


def test_defaults_of_all_rules_at_once():
    found = with_defaults({"Overfit": {"patience": "2"}}, "Overfit,Dataloader", "sagemaker")
    assert found == {
        "Overfit": {"defaults": "sagemaker", "patience": "2"},
        "Dataloader": {"defaults": "sagemaker"},
    }
    assert set(with_defaults({}, None, "sagemaker")) >= {"Overtraining", "StepOutlier"}
    assert with_defaults({}, None, "ours") == {}
