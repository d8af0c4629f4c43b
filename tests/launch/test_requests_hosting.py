"""Requests for endpoints of each kind, their updates and their scaling."""

import pytest

from launch.context import validate
from launch.errors import LaunchError
from launch.recipe import Recipe
from launch.requests_hosting import endpoint, endpoint_config, model
from launch.requests_training import Call
from launch.requests_update import alarm, scaling, update
from tests.support.launching import recipe, target


def hosted(one: Recipe) -> list[Call]:
    """All requests of an endpoint, in their order."""
    where = target()
    settings = one.sagemaker.endpoint
    data = "s3://b/model.tar.gz"
    if settings.kind == "multi-model":
        data = "s3://b/models/"
    created = model(one, where, "m", data, settings.image, settings.environment)
    return [
        Call("sagemaker", "CreateModel", created),
        Call("sagemaker", "CreateEndpointConfig", endpoint_config(one, where.location, "c", "m")),
        Call("sagemaker", "CreateEndpoint", endpoint(one, "c")),
        Call("sagemaker", "UpdateEndpoint", update(one, "c")),
        Call("cloudwatch", "PutMetricAlarm", alarm(one)),
        *scaling(one),
    ]


@pytest.mark.parametrize(
    "kind, given",
    [
        (
            "real-time",
            {
                "instance_type": "ml.g5.xlarge",
                "image": "serve-gpu",
                "instance_count": 4,
                "capture_percent": 100,
            },
        ),
        ("real-time", {"max_instances": 5}),
        ("serverless", {"provisioned_concurrency": 2}),
        (
            "async",
            {
                "success_topic": "arn:aws:sns:eu-west-1:123456789012:good",
                "concurrent_invocations": 4,
                "max_instances": 2,
                "min_instances": 0,
            },
        ),
        ("multi-model", {"image": "serve-mms"}),
    ],
)
def test_each_kind_of_endpoint(kind, given):
    one = recipe(endpoint={"kind": kind, **given}, kms_key="key-1")
    calls = hosted(one)
    for call in calls:
        validate(call)
    by_name = {call.operation: call.request for call in calls}
    variant = by_name["CreateEndpointConfig"]["ProductionVariants"][0]
    assert ("ServerlessConfig" in variant) == (kind == "serverless") != ("InstanceType" in variant)
    assert ("AsyncInferenceConfig" in by_name["CreateEndpointConfig"]) == (kind == "async")
    assert ("Mode" in by_name["CreateModel"]["PrimaryContainer"]) == (kind == "multi-model")
    assert ("DeploymentConfig" in by_name["UpdateEndpoint"]) == (kind != "serverless")
    assert ("PutScalingPolicy" in by_name) == ("max_instances" in given)
    assert ("DataCaptureConfig" in by_name["CreateEndpointConfig"]) == ("capture_percent" in given)


def test_gpus_get_the_driver_that_the_images_cuda_needs():
    def variant(**given):
        return endpoint_config(
            recipe(endpoint={"image": "serve-gpu", **given}), target().location, "c", "m"
        )["ProductionVariants"][0]

    assert (
        variant(instance_type="ml.g5.xlarge", cuda=13)["InferenceAmiVersion"]
        == "al2023-ami-sagemaker-inference-gpu-4-1"
    )
    assert (
        variant(instance_type="ml.p3.2xlarge")["InferenceAmiVersion"]
        == "al2-ami-sagemaker-inference-gpu-3-1"
    )
    assert "InferenceAmiVersion" not in variant(instance_type="ml.c6i.xlarge")
    with pytest.raises(LaunchError, match="capability 7.0, for which CUDA 13 has no kernels"):
        variant(instance_type="ml.p3.2xlarge", cuda=13)
    with pytest.raises(LaunchError, match="endpoint.cuda is 14; SageMaker has hosts for 12, 13"):
        variant(instance_type="ml.g5.xlarge", cuda=14)


def test_updates_roll_over_several_instances_and_go_back_on_alarms():
    many, one = (
        update(recipe(endpoint={"instance_count": count, "alarms": ["mine"]}), "c")[
            "DeploymentConfig"
        ]
        for count in (4, 1)
    )
    assert (
        many["AutoRollbackConfiguration"]["Alarms"]
        == one["AutoRollbackConfiguration"]["Alarms"]
        == [{"AlarmName": "slipway-three-colours-5xx"}, {"AlarmName": "mine"}]
    )
    assert many["RollingUpdatePolicy"]["MaximumBatchSize"] == {
        "Type": "CAPACITY_PERCENT",
        "Value": 25,
    }
    assert one["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["Type"] == "ALL_AT_ONCE"
