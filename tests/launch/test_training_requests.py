"""Requests of trainings and transform jobs, field by field, and the bounds of their settings."""

import re

import pytest

from launch.errors import LaunchError
from launch.requests_batch import transform_job
from launch.requests_training import (
    bucket,
    dated,
    metrics,
    prefix,
    split_s3,
    stopping,
    training_job,
    volume_kms,
)
from tests.support.launching import STAMP, URI, recipe, target

LOCATION = target().location
BUCKET = "sagemaker-eu-west-1-123456789012"


def channel(name: str) -> dict[str, object]:
    source = {
        "S3DataType": "S3Prefix",
        "S3DataDistributionType": "FullyReplicated",
        "S3Uri": f"s3://{BUCKET}/slipway/three-colours/data/{name}/",
    }
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


def plain_training() -> dict[str, object]:
    """CreateTrainingJob of a recipe that leaves every setting at its default."""
    output = f"s3://{BUCKET}/slipway/three-colours"
    return {
        "TrainingJobName": "job",
        "HyperParameters": {"model": "resnet18", "head": "64,32", "debug": "false"},
        "AlgorithmSpecification": {
            "TrainingImage": URI.format("train"),
            "TrainingInputMode": "File",
            "MetricDefinitions": metrics(),
        },
        "RoleArn": "arn:aws:iam::123456789012:role/SlipwayRole",
        "InputDataConfig": [channel("train"), channel("validation"), channel("test")],
        "OutputDataConfig": {"S3OutputPath": f"{output}/output"},
        "ResourceConfig": {
            "InstanceType": "ml.g5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 50,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "RetryStrategy": {"MaximumRetryAttempts": 1},
        "CheckpointConfig": {"S3Uri": f"{output}/checkpoints/job"},
        "ProfilerConfig": {"DisableProfiler": True},
        "Tags": [{"Key": "slipway:recipe", "Value": "three colours"}],
    }


@pytest.mark.parametrize(
    "settings, changed",
    [
        ({}, {}),
        ({"checkpoints": False}, {"CheckpointConfig": None}),
        (
            # Twice the time to run, unless it is set.
            {"checkpoints": False, "spot": True, "max_run_s": 10},
            {
                "StoppingCondition": {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": 20},
                "EnableManagedSpotTraining": True,
            },
        ),
        (
            {"keep_alive_s": 60, "instance_count": 2, "volume_gb": 7},
            {
                "ResourceConfig": {
                    "InstanceType": "ml.g5.xlarge",
                    "InstanceCount": 2,
                    "VolumeSizeInGB": 7,
                    "KeepAlivePeriodInSeconds": 60,
                }
            },
        ),
        ({"environment": {"A": "1"}}, {"Environment": {"A": "1"}}),
        ({"attempts": 2}, {"RetryStrategy": {"MaximumRetryAttempts": 2}}),
    ],
)
def test_a_training_request_is_the_default_but_for_what_is_set(settings, changed):
    """changed: None stands for a field that is left out."""
    expected = {**plain_training(), **changed}
    expected = {name: value for name, value in expected.items() if value is not None}
    assert training_job(recipe(training=settings), target(), "job") == expected


@pytest.mark.parametrize("max_wait_s, wait_s", [(0, 20), (10, 10), (11, 11)])
def test_a_spot_job_may_wait_as_long_as_it_may_run_or_longer(max_wait_s, wait_s):
    one = recipe(training={"spot": True, "max_run_s": 10, "max_wait_s": max_wait_s})
    assert stopping(one) == {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": wait_s}


def test_a_spot_job_that_could_not_run_its_whole_time_is_an_error():
    one = recipe(training={"spot": True, "max_run_s": 10, "max_wait_s": 9})
    with pytest.raises(LaunchError, match="max_wait_s is 9; .* at least max_run_s, 10"):
        stopping(one)


def test_on_demand_machines_have_no_time_of_waiting():
    one = recipe(training={"max_run_s": 10, "max_wait_s": 9})
    assert stopping(one) == {"MaxRuntimeInSeconds": 10}


def test_names_are_cut_only_beyond_their_limit():
    room = 63 - 1 - len(STAMP)
    assert dated("x" * room, STAMP) == f"{'x' * room}-{STAMP}"
    cut = dated("x" * (room + 1), STAMP)
    assert len(cut) == 63
    assert re.fullmatch(rf"x{{{room - 5}}}-[0-9a-f]{{4}}-{STAMP}", cut)


@pytest.mark.parametrize(
    "given, found",
    [("", "slipway/three-colours"), ("/", "slipway/three-colours"), ("/a/b/", "a/b")],
)
def test_the_prefix_has_no_slash_at_its_ends(given, found):
    assert prefix(recipe(prefix=given)) == found


def test_the_bucket_is_the_recipes_or_sagemakers_own():
    assert bucket(recipe(bucket="photos"), LOCATION) == "photos"
    assert bucket(recipe(), LOCATION) == BUCKET


@pytest.mark.parametrize(
    "uri, parts",
    [("s3://b/a/c.jpg", ("b", "a/c.jpg")), ("s3://b/", ("b", "")), ("s3://b", ("b", ""))],
)
def test_an_s3_uri_has_a_bucket_and_a_key(uri, parts):
    assert split_s3(uri) == parts


@pytest.mark.parametrize(
    "instance_type, found",
    [
        ("ml.m5.large", {"VolumeKmsKeyId": "key-1"}),
        ("ml.m5d.large", {}),
        ("ml.p3.2xlarge", {"VolumeKmsKeyId": "key-1"}),
        ("ml.p3dn.24xlarge", {}),
        ("ml.g4dn.xlarge", {}),
    ],
)
def test_only_volumes_take_a_key(instance_type, found):
    assert volume_kms(recipe(kms_key="key-1"), instance_type) == found


def test_a_transform_request_is_all_of_the_settings():
    one = recipe(kms_key="key-1", batch={"concurrent": 4, "payload_mb": 25, "instance_count": 3})
    assert transform_job(one, LOCATION, "job", "m", "s3://b/p/") == {
        "TransformJobName": "job",
        "ModelName": "m",
        "MaxConcurrentTransforms": 4,
        "MaxPayloadInMB": 25,
        "BatchStrategy": "SingleRecord",
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": 3},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p/"}},
            "ContentType": "application/x-image",
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{BUCKET}/slipway/three-colours/batch/job",
            "Accept": "application/json",
            "AssembleWith": "None",
            "KmsKeyId": "key-1",
        },
        "TransformResources": {
            "InstanceType": "ml.c6i.2xlarge",
            "InstanceCount": 3,
            "VolumeKmsKeyId": "key-1",
        },
        "Tags": [{"Key": "slipway:recipe", "Value": "three colours"}],
    }


def test_photos_under_way_may_have_100_mb_and_no_more():
    one = recipe(batch={"concurrent": 101, "payload_mb": 1})
    with pytest.raises(LaunchError, match="payload_mb is 101 MB; SageMaker allows 100"):
        transform_job(one, LOCATION, "job", "m", "s3://b/p/")
