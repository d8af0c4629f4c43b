"""Requests for trainings and transform jobs, valid by botocore's models."""

import re

import pytest

from launch.aws import aws_location
from launch.context import validate
from launch.errors import LaunchError
from launch.recipe import read_recipe
from launch.requests_batch import transform_job
from launch.requests_debug import debug_job, own_debug_job
from launch.requests_training import Call, dated, metrics, training_job
from tests.launch.test_requests_hosting import hosted
from tests.support.jobs import REPOSITORY
from tests.support.launching import recipe, target

RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))


FULL = {
    "region": "eu-west-1",
    "role": "arn:aws:iam::123456789012:role/other/Role",
    "bucket": "photos",
    "prefix": "a/b/",
    "tags": {"team": "vision"},
    "subnets": ["subnet-1"],
    "security_groups": ["sg-1"],
    "kms_key": "key-1",
    "network_isolation": True,
    "encrypt_traffic": True,
    "channels": {"train": "out/prepared/train", "weights": "s3://weights/resnet50/"},
    "training": {
        "spot": True,
        "max_run_s": 100,
        "instance_count": 2,
        "environment": {"NCCL_DEBUG": "INFO"},
        "attempts": 3,
        "input_mode": "FastFile",
    },
    "endpoint": {
        "instance_type": "ml.g5.xlarge",
        "image": "serve-gpu",
        "max_instances": 3,
        "capture_percent": 5,
        "alarms": ["mine"],
        "environment": {"A": "1"},
    },
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_recipes_make_valid_requests(path):
    one = read_recipe(path)
    for call in [
        Call("sagemaker", "CreateTrainingJob", training_job(one, target(), "job")),
        Call("sagemaker", "CreateTrainingJob", debug_job(one, target(), "job")),
        Call("sagemaker", "CreateTrainingJob", own_debug_job(one, target(), "job")),
        Call(
            "sagemaker",
            "CreateTransformJob",
            transform_job(one, target().location, "job", "m", "s3://b/p/"),
        ),
        *hosted(one),
    ]:
        validate(call)


def test_a_training_request_says_all_of_the_recipe():
    request = training_job(recipe(**FULL), target(), "job")
    validate(Call("sagemaker", "CreateTrainingJob", request))
    assert request["HyperParameters"] == {"model": "resnet18", "head": "64,32", "debug": "false"}
    assert request["RoleArn"] == "arn:aws:iam::123456789012:role/other/Role"
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200}
    assert request["EnableManagedSpotTraining"]
    assert request["CheckpointConfig"] == {"S3Uri": "s3://photos/a/b/checkpoints/job"}
    places = [
        channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in request["InputDataConfig"]
    ]
    assert places == ["s3://photos/a/b/data/train/", "s3://weights/resnet50/"]
    assert request["OutputDataConfig"] == {
        "S3OutputPath": "s3://photos/a/b/output",
        "KmsKeyId": "key-1",
    }
    assert (
        "VolumeKmsKeyId" not in request["ResourceConfig"]
    )  # the disks of ml.g5 encrypt themselves
    assert (
        training_job(
            recipe(kms_key="key-1", training={"instance_type": "ml.m5.large"}), target(), "job"
        )["ResourceConfig"]["VolumeKmsKeyId"]
        == "key-1"
    )
    assert request["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert request["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert request["EnableNetworkIsolation"]
    assert request["EnableInterContainerTrafficEncryption"]
    assert request["Tags"] == [
        {"Key": "slipway:recipe", "Value": "three colours"},
        {"Key": "team", "Value": "vision"},
    ]
    again = training_job(recipe(**FULL), target(), "job", checkpoints="earlier")
    assert again["CheckpointConfig"] == {"S3Uri": "s3://photos/a/b/checkpoints/earlier"}


def test_a_plain_recipe_takes_sagemakers_own_bucket_and_no_more():
    request = training_job(recipe(), target(), "job")
    assert request["OutputDataConfig"] == {
        "S3OutputPath": "s3://sagemaker-eu-west-1-123456789012/slipway/three-colours/output"
    }
    assert request["RoleArn"] == "arn:aws:iam::123456789012:role/SlipwayRole"
    assert "VpcConfig" not in request
    assert "Environment" not in request
    assert not request["EnableManagedSpotTraining"]
    assert request["ProfilerConfig"] == {"DisableProfiler": True}


def test_metrics_are_found_in_the_lines_that_training_prints():
    line = (
        "epoch=3 train_loss=1.25e-05 train_accuracy=0.5 "
        "validation_loss=2 validation_accuracy=0.8333 lr=0.001"
    )
    found = {entry["Name"]: re.findall(entry["Regex"], line) for entry in metrics()}
    assert found == {
        "train_loss": ["1.25e-05"],
        "train_accuracy": ["0.5"],
        "validation_loss": ["2"],
        "validation_accuracy": ["0.8333"],
        "test_loss": [],
        "test_accuracy": [],
    }


@pytest.mark.parametrize(
    "region, start, hosts",
    [
        ("eu-west-1", "arn:aws:iam::", "amazonaws.com"),
        ("cn-north-1", "arn:aws-cn:iam::", "amazonaws.com.cn"),
        ("us-gov-west-1", "arn:aws-us-gov:iam::", "amazonaws.com"),
    ],
)
def test_partitions(region, start, hosts):
    one = recipe(region=region)
    assert training_job(one, target(region), "job")["RoleArn"].startswith(start)
    rules = debug_job(one, target(region), "job")["DebugRuleConfigurations"]
    assert rules[0]["RuleEvaluatorImage"].endswith(
        f".dkr.ecr.{region}.{hosts}/sagemaker-debugger-rules:latest"
    )
    assert target(region).location.ecr_host() == f"123456789012.dkr.ecr.{region}.{hosts}"


def test_a_region_that_is_none():
    with pytest.raises(LaunchError, match="'moon-east' is not a region"):
        aws_location("moon-east", "1")


def test_debugger_watches_what_the_recipe_says():
    one = recipe(
        debugger={
            "rules": ["overfit", "VanishingGradient"],
            "rule_parameters": {"overfit.ratio_threshold": 0.2},
            "train_interval": 5,
        }
    )
    request = debug_job(one, target(), "job")
    validate(Call("sagemaker", "CreateTrainingJob", request))
    assert [rule["RuleParameters"] for rule in request["DebugRuleConfigurations"]] == [
        {"rule_to_invoke": "Overfit", "ratio_threshold": "0.2"},
        {"rule_to_invoke": "VanishingGradient"},
    ]
    assert not any(
        "InstanceType" in rule for rule in request["DebugRuleConfigurations"]
    )  # AWS runs built-in rules without one
    assert request["DebugHookConfig"]["CollectionConfigurations"][0]["CollectionParameters"] == {
        "train.save_interval": "5",
        "eval.save_interval": "1",
    }
    own = own_debug_job(one, target(), "job")["HyperParameters"]
    assert own["debug"] == own["profile"] == "true"
    assert own["debug_collections"] == "gradients,weights"
    with pytest.raises(LaunchError, match="no rules in eu-central-2; .*python -m diagnose"):
        debug_job(one, target("eu-central-2"), "job")


def test_names_fit_their_limits():
    assert dated("three colours", "261121-1815-k3f9") == "three-colours-261121-1815-k3f9"
    cut = [
        dated("x" * 20 + end, "261121-1815-k3f9", 32) for end in "12"
    ]  # two searches of one chain, begun in one second
    assert all(
        re.fullmatch("x{10}-[0-9a-f]{4}-261121-1815-k3f9", name) and len(name) == 32 for name in cut
    )
    assert cut[0] != cut[1]
    assert dated("a__b--c_", "1") == "a-b-c-1"


def test_a_request_that_aws_would_refuse_is_an_error_before_it_is_sent():
    request = training_job(recipe(), target(), "job")
    request["ResourceConfig"]["InstanceCount"] = "two"
    mistake = "CreateTrainingJob would be refused: .*ResourceConfig.InstanceCount"
    with pytest.raises(LaunchError, match=mistake):
        validate(Call("sagemaker", "CreateTrainingJob", request))
