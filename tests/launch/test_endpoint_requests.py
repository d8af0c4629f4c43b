"""Requests of models, endpoints, alarms and scaling, field by field, and the bounds of settings."""

import pytest

from launch.aws import Request
from launch.context import validate
from launch.errors import LaunchError
from launch.requests_hosting import (
    SERVERLESS_MB,
    endpoint,
    endpoint_config,
    model,
    serving_environment,
)
from launch.requests_training import Call
from launch.requests_update import alarm, scaling, sleeps, update, wake_alarm, waking
from tests.support.launching import URI, recipe, target

LOCATION = target().location
TAGS = [{"Key": "slipway:recipe", "Value": "three colours"}]
S3 = "s3://sagemaker-eu-west-1-123456789012/slipway/three-colours"
VARIANT = {
    "VariantName": "all",
    "ModelName": "m",
    "InitialInstanceCount": 1,
    "InstanceType": "ml.c6i.xlarge",
    "InitialVariantWeight": 1.0,
    "ModelDataDownloadTimeoutInSeconds": 600,
    "ContainerStartupHealthCheckTimeoutInSeconds": 600,
}


def config_of(**settings: object) -> Request:
    """CreateEndpointConfig of these settings of the endpoint."""
    return endpoint_config(recipe(endpoint=settings), LOCATION, "c", "m")


def test_a_model_is_an_image_with_its_data():
    one = recipe(network_isolation=True)
    expected = {
        "ModelName": "m",
        "PrimaryContainer": {"Image": URI.format("serve"), "ModelDataUrl": "s3://b/model.tar.gz"},
        "ExecutionRoleArn": "arn:aws:iam::123456789012:role/SlipwayRole",
        "Tags": TAGS,
        "EnableNetworkIsolation": True,
    }
    assert model(one, target(), "m", "s3://b/model.tar.gz", "serve", {}) == expected
    # Many models: a prefix takes the place of an archive.
    expected["PrimaryContainer"] = {
        "Image": URI.format("serve-mms"),
        "ModelDataUrl": "s3://b/models/",
        "Environment": {"A": "1"},
        "Mode": "MultiModel",
    }
    assert model(one, target(), "m", "s3://b/models/", "serve-mms", {"A": "1"}) == expected


def test_a_plain_endpoint_has_one_variant():
    config = {"EndpointConfigName": "c", "Tags": TAGS, "ProductionVariants": [VARIANT]}
    assert config_of() == config
    assert endpoint(recipe(), "c") == {
        "EndpointName": "three-colours",
        "EndpointConfigName": "c",
        "Tags": TAGS,
    }


def test_a_serverless_endpoint_has_memory_in_place_of_instances():
    serverless = {"MemorySizeInMB": 3072, "MaxConcurrency": 10}
    variant = {"VariantName": "all", "ModelName": "m", "ServerlessConfig": serverless}
    expected = {"EndpointConfigName": "c", "Tags": TAGS, "ProductionVariants": [variant]}
    assert config_of(kind="serverless") == expected
    # One copy that is always warm.
    serverless["ProvisionedConcurrency"] = 1
    assert config_of(kind="serverless", provisioned_concurrency=1) == expected


def test_a_capture_keeps_a_share_of_requests_and_answers():
    assert config_of(capture_percent=1)["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 1,
        "DestinationS3Uri": f"{S3}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }


def test_an_asynchronous_endpoint_serves_by_sagemakers_limits():
    limits = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "900", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1024"}
    assert serving_environment(recipe(endpoint={"kind": "async"}).sagemaker.endpoint) == limits
    own = {"kind": "async", "environment": {"SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"}}
    found = serving_environment(recipe(endpoint=own).sagemaker.endpoint)
    assert found == {**limits, "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100"}
    assert serving_environment(recipe().sagemaker.endpoint) == {}


def test_an_asynchronous_endpoint_writes_to_s3():
    output: Request = {"S3OutputPath": f"{S3}/async/output", "S3FailurePath": f"{S3}/async/failed"}
    assert config_of(kind="async")["AsyncInferenceConfig"] == {"OutputConfig": output}
    topics = {"success_topic": "arn:good", "error_topic": "arn:bad"}
    found = config_of(kind="async", concurrent_invocations=1, **topics)
    output["NotificationConfig"] = {"SuccessTopic": "arn:good", "ErrorTopic": "arn:bad"}
    assert found["AsyncInferenceConfig"] == {
        "OutputConfig": output,
        "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
    }


@pytest.mark.parametrize("memory_mb", [1024, 2048, 3072, 4096, 5120, 6144])
def test_serverless_memory_comes_in_steps(memory_mb):
    assert len(SERVERLESS_MB) == 6
    variant = config_of(kind="serverless", memory_mb=memory_mb)["ProductionVariants"][0]
    assert variant["ServerlessConfig"]["MemorySizeInMB"] == memory_mb


@pytest.mark.parametrize("memory_mb", [0, 1023, 1025, 6143, 6145, 7168])
def test_other_serverless_memory_is_an_error(memory_mb):
    with pytest.raises(LaunchError, match=f"memory_mb is {memory_mb}; serverless has 1024, 2048"):
        config_of(kind="serverless", memory_mb=memory_mb)


@pytest.mark.parametrize(
    "given, named",
    [
        ({"capture_percent": 1}, "capture_percent"),
        ({"image": "serve-gpu"}, "the image serve-gpu"),
    ],
)
def test_a_serverless_endpoint_cannot_have_everything(given, named):
    with pytest.raises(LaunchError, match=f"a serverless endpoint cannot have {named}; "):
        config_of(kind="serverless", **given)
    settings = {"subnets": ["subnet-1"], "security_groups": ["sg-1"]}
    with pytest.raises(LaunchError, match=r"cannot have a VPC \(subnets\); "):
        endpoint_config(recipe(endpoint={"kind": "serverless"}, **settings), LOCATION, "c", "m")


def update_of(**settings: object) -> Request:
    return update(recipe(endpoint=settings), "c")


@pytest.mark.parametrize(
    "bake_s, limit_s", [(0, 3600), (900, 3600), (901, 3602), (1000, 3800), (3000, 7800)]
)
def test_a_single_instance_gets_a_second_one_beside_it(bake_s, limit_s):
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": bake_s},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": limit_s,
    }
    alarms = {"Alarms": [{"AlarmName": "slipway-three-colours-5xx"}]}
    assert update_of(bake_s=bake_s) == {
        "EndpointName": "three-colours",
        "EndpointConfigName": "c",
        "DeploymentConfig": {"BlueGreenUpdatePolicy": policy, "AutoRollbackConfiguration": alarms},
    }


@pytest.mark.parametrize("instances, percent", [(2, 50), (3, 50), (4, 25), (5, 25)])
def test_several_instances_are_replaced_in_batches(instances, percent):
    config = update_of(instance_count=instances)["DeploymentConfig"]
    assert config["RollingUpdatePolicy"] == {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": percent},
        "WaitIntervalInSeconds": 300,
        "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
    }
    assert "BlueGreenUpdatePolicy" not in config


def test_an_update_keeps_the_instances_that_scaling_has_reached():
    assert update_of(max_instances=2)["RetainAllVariantProperties"] is True
    # A serverless endpoint has no instances to keep.
    assert update_of(kind="serverless", max_instances=2) == {
        "EndpointName": "three-colours",
        "EndpointConfigName": "c",
    }


def test_the_alarm_rings_for_two_bad_minutes_of_three():
    assert alarm(recipe()) == {
        "AlarmName": "slipway-three-colours-5xx",
        "AlarmDescription": "Rolls back an update of the endpoint",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        # An endpoint that nobody asks has no bad minutes.
        "TreatMissingData": "notBreaching",
        "Tags": TAGS,
        "Dimensions": [
            {"Name": "EndpointName", "Value": "three-colours"},
            {"Name": "VariantName", "Value": "all"},
        ],
    }


@pytest.mark.parametrize(
    "settings",
    [
        {},
        # As many as the fewest: no room for more.
        {"max_instances": 1},
        {"max_instances": 2, "min_instances": 2, "instance_count": 2},
        {"max_instances": 2, "kind": "serverless"},
    ],
)
def test_nothing_scales_without_room_for_more_instances(settings):
    assert scaling(recipe(endpoint=settings)) == []


def test_scaling_grows_quickly_and_shrinks_slowly():
    calls = scaling(recipe(endpoint={"max_instances": 2}))
    assert [call.service for call in calls] == ["application-autoscaling"] * 2
    assert [call.operation for call in calls] == ["RegisterScalableTarget", "PutScalingPolicy"]
    scaled = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/three-colours/variant/all",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    assert calls[0].request == {**scaled, "MinCapacity": 1, "MaxCapacity": 2}
    assert calls[1].request == {
        **scaled,
        "PolicyName": "slipway-three-colours",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 600,
            "ScaleInCooldown": 600,
            "ScaleOutCooldown": 120,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
        },
    }


def test_an_asynchronous_endpoint_scales_by_its_backlog():
    calls = scaling(recipe(endpoint={"kind": "async", "max_instances": 2, "min_instances": 0}))
    # Only an asynchronous endpoint can go down to none.
    assert calls[0].request["MinCapacity"] == 0
    policy = calls[1].request["TargetTrackingScalingPolicyConfiguration"]
    assert policy["CustomizedMetricSpecification"] == {
        "MetricName": "ApproximateBacklogSizePerInstance",
        "Namespace": "AWS/SageMaker",
        "Statistic": "Average",
        "Dimensions": [{"Name": "EndpointName", "Value": "three-colours"}],
    }
    assert "PredefinedMetricSpecification" not in policy


def test_an_endpoint_without_instances_wakes_at_its_first_request():
    """Target tracking alone would wait until the backlog is above its target."""
    one = recipe(endpoint={"kind": "async", "max_instances": 1, "min_instances": 0})
    limits, tracking = scaling(one)
    assert (limits.request["MinCapacity"], limits.request["MaxCapacity"]) == (0, 1)
    assert tracking.request["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 5
    assert sleeps(one)
    assert not sleeps(recipe(endpoint={"kind": "async", "max_instances": 2}))
    policy = waking(one).request
    assert policy["PolicyType"] == "StepScaling"
    steps = policy["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps == [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
    rings = wake_alarm(one, "arn:policy")
    assert rings["AlarmName"] == "slipway-three-colours-backlog"
    assert rings["MetricName"] == "HasBacklogWithoutCapacity"
    assert rings["AlarmActions"] == ["arn:policy"]
    validate(waking(one))
    validate(Call("cloudwatch", "PutMetricAlarm", rings))


@pytest.mark.parametrize(
    "endpoint, expected",
    [
        ({"min_instances": 0, "max_instances": 2}, "only an endpoint of kind async scales in to 0"),
        ({"min_instances": 2}, "min_instances is 2, and without max_instances nothing scales"),
        ({"kind": "async", "min_instances": 0}, "without max_instances nothing scales"),
        ({"max_instances": 2, "instance_count": 3}, "instance_count is 3; it must lie between"),
        ({"min_instances": 2, "max_instances": 3}, "instance_count is 1; it must lie between"),
    ],
)
def test_numbers_of_instances_that_would_be_ignored(endpoint, expected):
    with pytest.raises(LaunchError, match=expected):
        recipe(endpoint=endpoint)
