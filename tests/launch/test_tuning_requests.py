"""Requests of searches, and the part of SageMaker Debugger, field by field."""

import pytest

from launch.errors import LaunchError
from launch.requests_debug import INTERVALS_MS, debug_job, own_debug_job, rule_name
from launch.requests_training import common, metrics, training_job
from launch.requests_tuning import tuning_job, tuning_name
from tests.support.launching import STAMP, recipe, target

OWN = {"Name": "validation_accuracy", "Regex": "epoch=.* validation_accuracy=([0-9.]+)"}
OUTPUT = "s3://sagemaker-eu-west-1-123456789012/slipway/three-colours/output"


def part(**more: object) -> dict[str, object]:
    """What `tune` settles of a search's request."""
    return {
        "HyperParameterTuningJobName": "search",
        "HyperParameterTuningJobConfig": {"Strategy": "Bayesian"},
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"model": "resnet18"},
            "AlgorithmSpecification": {"MetricDefinitions": [OWN]},
        },
        **more,
    }


@pytest.mark.parametrize("spot", [False, True])
def test_only_spot_trials_have_checkpoints(spot):
    one = recipe(training={"spot": spot, "checkpoints": True})
    definition = tuning_job(one, target(), part(), "name", {})["TrainingJobDefinition"]
    assert ("CheckpointConfig" in definition) is spot
    assert definition["EnableManagedSpotTraining"] is spot


def test_a_searchs_request_is_tunes_part_and_the_recipes_machines():
    one = recipe(training={"checkpoints": False})
    filled = common(one, target(), "name")
    others = [entry for entry in metrics() if entry["Name"] != "validation_accuracy"]
    filled["AlgorithmSpecification"]["MetricDefinitions"] = [OWN, *others]
    assert tuning_job(one, target(), part(), "name", {}) == {
        "HyperParameterTuningJobName": "name",
        "HyperParameterTuningJobConfig": {"Strategy": "Bayesian"},
        "TrainingJobDefinition": {"StaticHyperParameters": {"model": "resnet18"}, **filled},
        "Tags": [{"Key": "slipway:recipe", "Value": "three colours"}],
    }


def test_a_warm_start_names_parents_as_sagemaker_does():
    parents = [{"HyperParameterTuningJobName": name} for name in ("first", "elsewhere")]
    config = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "TransferLearning"}
    warm = part(WarmStartConfig=config)
    request = tuning_job(recipe(), target(), warm, "name", {"first": "first-1"})
    assert request["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": "first-1"},
            {"HyperParameterTuningJobName": "elsewhere"},
        ],
        "WarmStartType": "TransferLearning",
    }


def test_a_searchs_name_has_32_characters_at_most():
    assert tuning_name("x" * 15, STAMP) == f"{'x' * 15}-{STAMP}"
    assert len(tuning_name("x" * 16, STAMP)) == 32
    assert tuning_name("x" * 16, STAMP).startswith(f"{'x' * 10}-")


def test_debuggers_part_of_a_request():
    settings = {"rules": ["all zero"], "collections": ["losses"], "eval_interval": 3}
    one = recipe(debugger=settings)
    image = "929884845733.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-debugger-rules:latest"
    intervals = {"train.save_interval": "10", "eval.save_interval": "3"}
    collections = [{"CollectionName": "losses", "CollectionParameters": intervals}]
    assert debug_job(one, target(), "job") == {
        **training_job(one, target(), "job"),
        "DebugHookConfig": {"S3OutputPath": OUTPUT, "CollectionConfigurations": collections},
        "DebugRuleConfigurations": [
            {
                "RuleConfigurationName": "AllZero",
                "RuleEvaluatorImage": image,
                "RuleParameters": {"rule_to_invoke": "AllZero", "collection_names": "weights"},
            }
        ],
        "ProfilerConfig": {
            "S3OutputPath": OUTPUT,
            "ProfilingIntervalInMilliseconds": 500,
            "ProfilingParameters": {"LocalPath": "/opt/ml/output/profiler"},
        },
        "ProfilerRuleConfigurations": [
            {
                "RuleConfigurationName": "ProfilerReport",
                "RuleEvaluatorImage": image,
                "RuleParameters": {"rule_to_invoke": "ProfilerReport", "opt_out_telemetry": "True"},
            }
        ],
    }


def test_without_a_profile_the_profiler_stays_off():
    request = debug_job(recipe(debugger={"profile": False}), target(), "job")
    assert request["ProfilerConfig"] == {"DisableProfiler": True}
    assert "ProfilerRuleConfigurations" not in request


def test_a_training_that_watches_itself_gets_hyperparameters_for_it():
    settings = {"profile": False, "train_interval": 5, "collections": ["losses", "gradients"]}
    one = recipe(debugger=settings)
    plain = training_job(one, target(), "job")
    assert own_debug_job(one, target(), "job") == {
        **plain,
        "HyperParameters": {
            **plain["HyperParameters"],
            "debug": "true",
            "profile": "false",
            "debug_collections": "gradients",
            "debug_train_interval": "5",
            "debug_eval_interval": "1",
        },
    }


@pytest.mark.parametrize("interval_ms", [100, 200, 500, 1000, 5000, 60000])
def test_intervals_of_the_profile_are_debuggers_own(interval_ms):
    assert len(INTERVALS_MS) == 6
    one = recipe(debugger={"profile_interval_ms": interval_ms})
    config = debug_job(one, target(), "job")["ProfilerConfig"]
    assert config["ProfilingIntervalInMilliseconds"] == interval_ms


@pytest.mark.parametrize("parameter", ["Overfit", "Overfit.", "DeadRelu.x"])
def test_a_parameter_needs_one_of_the_recipes_rules_and_a_name(parameter):
    one = recipe(debugger={"rules": ["overfit"], "rule_parameters": {parameter: 1}})
    with pytest.raises(LaunchError, match="Rule.parameter of one of the rules Overfit$"):
        debug_job(one, target(), "job")


def test_a_rule_may_be_written_in_any_spelling():
    assert rule_name("vanishing_gradient") == "VanishingGradient"
    assert rule_name("Loss Not-Decreasing") == "LossNotDecreasing"
