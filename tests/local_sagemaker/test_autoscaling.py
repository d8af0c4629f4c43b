"""Scaling of an asynchronous endpoint: from no instance to one and back, by its policies."""

import json

import pytest
from botocore.exceptions import ClientError

from local_sagemaker.contract import ApiError, invalid
from local_sagemaker.hosting import autoscaling
from local_sagemaker.hosting.autoscaling import Scaler
from local_sagemaker.platform import Platform
from tests.support.hosting import settled, variant
from tests.support.sagemakers import BUCKET, until
from tests.support.servers import photo

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/sleepy/variant/all",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {"TargetValue": 5.0, "ScaleInCooldown": 1, "ScaleOutCooldown": 1}
STEPS = {
    "AdjustmentType": "ChangeInCapacity",
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
}
BACKLOG = {
    "MetricName": "ApproximateBacklogSizePerInstance",
    "Namespace": "AWS/SageMaker",
    "Statistic": "Average",
}


def record(*policies: dict) -> dict:
    return {"MinCapacity": 0, "MaxCapacity": 3, "Policies": dict(enumerate(policies))}


TRACKS = {"TargetTrackingScalingPolicyConfiguration": TRACKING}
WAKES = {"StepScalingPolicyConfiguration": STEPS}


@pytest.mark.parametrize(
    "policies, backlog, instances, wanted",
    [
        # As on AWS: target tracking alone leaves a sleeping endpoint asleep up to its target.
        ((TRACKS,), 5, 0, 0),
        ((TRACKS,), 6, 0, 2),
        ((TRACKS, WAKES), 1, 0, 1),
        ((TRACKS, WAKES), 5, 1, 1),
        ((TRACKS, WAKES), 100, 1, 3),
        ((WAKES,), 0, 0, 0),
    ],
)
def test_how_many_instances_the_policies_want(policies, backlog, instances, wanted):
    assert Scaler(0).wanted(record(*policies), backlog, instances, 0) == wanted


def test_idle_instances_end_after_the_cooldown():
    scaler = Scaler(0)
    assert scaler.wanted(record(TRACKS), 1, 1, now=1) == 1
    assert scaler.wanted(record(TRACKS), 0, 1, now=2) == 1
    assert scaler.wanted(record(TRACKS), 0, 1, now=2.5) == 0


@pytest.fixture
def here(tmp_path):
    """A platform with a record of an endpoint."""
    platform = Platform(tmp_path, "process")
    platform.store.add("endpoint", "sleepy", {}, invalid("taken"))
    return platform


@pytest.mark.parametrize(
    "limits, reason",
    [
        ({}, "A new scalable target needs MinCapacity"),
        ({"MinCapacity": 0}, "A new scalable target needs MaxCapacity"),
        ({"MinCapacity": 2, "MaxCapacity": 1}, "Maximum capacity cannot be less than minimum"),
    ],
)
def test_a_target_without_its_bounds_is_refused(here, limits, reason):
    with pytest.raises(ApiError, match=reason):
        autoscaling.answer(here, "RegisterScalableTarget", {**TARGET, **limits}, "eu-west-1")
    assert here.store.find(autoscaling.KIND, "sleepy") is None


@pytest.mark.parametrize("value", [0, -1.5])
def test_a_policy_that_no_number_of_instances_meets_is_refused(here, value):
    bounds = {"MinCapacity": 0, "MaxCapacity": 3}
    autoscaling.answer(here, "RegisterScalableTarget", {**TARGET, **bounds}, "eu-west-1")
    policy = {
        **{"PolicyName": "p", "PolicyType": "TargetTrackingScaling"},
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": value},
    }
    with pytest.raises(ApiError, match="TargetValue must be a number above 0; found '"):
        autoscaling.answer(here, "PutScalingPolicy", {**TARGET, **policy}, "eu-west-1")
    # Bounds that are left out later stay.
    autoscaling.answer(here, "RegisterScalableTarget", {**TARGET, "MaxCapacity": 5}, "eu-west-1")
    kept = here.store.find(autoscaling.KIND, "sleepy")
    assert (kept["MinCapacity"], kept["MaxCapacity"], kept["Policies"]) == (0, 5, {})


@pytest.mark.verify
def test_an_endpoint_sleeps_wakes_and_sleeps_again(sagemaker, runtime, hosting):
    s3 = hosting.client("s3")
    s3.put_object(Bucket=BUCKET, Key="in/blue.jpg", Body=photo("blue"))
    place = {"S3OutputPath": f"s3://{BUCKET}/sleepy", "S3FailurePath": f"s3://{BUCKET}/failed"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="sleepy",
        ProductionVariants=[variant()],
        AsyncInferenceConfig={"OutputConfig": place},
    )
    sagemaker.create_endpoint(EndpointName="sleepy", EndpointConfigName="sleepy")
    assert settled(sagemaker, "sleepy")["EndpointStatus"] == "InService"
    scaling = hosting.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=0, MaxCapacity=1)
    scaling.put_scaling_policy(
        **TARGET,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            **TRACKING,
            "CustomizedMetricSpecification": BACKLOG,
        },
    )
    scaling.put_scaling_policy(
        **TARGET,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration=STEPS,
    )
    assert (
        len(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 2
    )

    def instances() -> int:
        described = sagemaker.describe_endpoint(EndpointName="sleepy")
        return described["ProductionVariants"][0]["CurrentInstanceCount"]

    until(lambda: instances() == 0)
    answer = runtime.invoke_endpoint_async(
        EndpointName="sleepy", InputLocation=f"s3://{BUCKET}/in/blue.jpg", ContentType="image/jpeg"
    )
    key = answer["OutputLocation"].removeprefix(f"s3://{BUCKET}/")
    body = until(lambda: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    assert json.loads(body)["predictions"][0]["label"] == "blue"
    until(lambda: instances() == 0)
    found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert [(one["MinCapacity"], one["MaxCapacity"]) for one in found] == [(0, 1)]
    scaling.deregister_scalable_target(**TARGET)
    with pytest.raises(ClientError, match="No scalable target found"):
        scaling.deregister_scalable_target(**TARGET)
    sagemaker.delete_endpoint(EndpointName="sleepy")
