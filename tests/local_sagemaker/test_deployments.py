"""Updates of endpoints step by step on local SageMaker: real servers, and moto's alarms."""

import collections
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.hosting import blue_green, label, rolling, settled, variant
from tests.support.sagemakers import BUCKET, until
from tests.support.servers import photo

pytestmark = pytest.mark.verify
HALF = {"Type": "CAPACITY_PERCENT", "Value": 50}
ONE = {"Type": "INSTANCE_COUNT", "Value": 1}
ALARM = "rings"
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": f"s3://{BUCKET}/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
}


@pytest.fixture(scope="module")
def endpoint(sagemaker) -> str:
    """An endpoint of two instances; configurations whose variants are named old and new."""
    for name in ("old", "new"):
        entry = variant(name, InitialInstanceCount=2)
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[entry])
    broken = [variant("new", model="broken", InitialInstanceCount=2)]
    sagemaker.create_endpoint_config(EndpointConfigName="no", ProductionVariants=broken)
    sagemaker.create_endpoint(EndpointName="moved", EndpointConfigName="old")
    assert settled(sagemaker, "moved")["EndpointStatus"] == "InService"
    return "moved"


@pytest.fixture
def alarm(hosting):
    """A function that sets the state of an alarm, which begins as OK."""
    cloudwatch = hosting.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    return lambda state: cloudwatch.set_alarm_state(
        AlarmName=ALARM, StateValue=state, StateReason="the test says so"
    )


def update(sagemaker, config: str, deployment: dict[str, Any], endpoint: str = "moved") -> None:
    watched = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": ALARM}]}}
    sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=config,
        DeploymentConfig={**deployment, **watched},
    )


def answered(runtime, count: int = 40) -> collections.Counter[str]:
    """How many requests each variant answers, rightly."""
    found: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        answer = runtime.invoke_endpoint(
            EndpointName="moved", Body=photo("red"), ContentType="image/jpeg"
        )
        assert label(answer) == "red"
        found[answer["InvokedProductionVariant"]] += 1
    return found


def watched(sagemaker, runtime) -> set[frozenset[str]]:
    """Who answered in turns of requests while the update went on."""
    seen = set()
    while sagemaker.describe_endpoint(EndpointName="moved")["EndpointStatus"] == "Updating":
        seen.add(frozenset(answered(runtime)))
    return seen


BOTH, OLD, NEW = frozenset({"old", "new"}), frozenset({"old"}), frozenset({"new"})


@pytest.mark.parametrize(
    "deployment",
    [
        blue_green("CANARY", 3, CanarySize=HALF, TerminationWaitInSeconds=1),
        blue_green("LINEAR", 3, LinearStepSize=ONE),
        rolling(3, MaximumBatchSize=HALF),
    ],
)
def test_requests_move_in_parts(endpoint, sagemaker, runtime, alarm, deployment):
    update(sagemaker, "new", deployment)
    until(
        lambda: (
            "PendingDeploymentSummary" in sagemaker.describe_endpoint(EndpointName=endpoint)
            and "new" in answered(runtime, 8)
        )
    )
    pending = sagemaker.describe_endpoint(EndpointName=endpoint)["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == "new"
    seen = watched(sagemaker, runtime)
    assert BOTH in seen or NEW in seen
    found = settled(sagemaker, endpoint)
    assert found["EndpointConfigName"] == "new"
    assert "FailureReason" not in found
    assert "PendingDeploymentSummary" not in found
    [entry] = found["ProductionVariants"]
    assert (entry["VariantName"], entry["CurrentInstanceCount"]) == ("new", 2)
    assert set(answered(runtime)) == NEW
    # and all at once back to the old one
    update(sagemaker, "old", blue_green("ALL_AT_ONCE"))
    assert settled(sagemaker, endpoint)["EndpointConfigName"] == "old"
    assert set(answered(runtime)) == OLD


@pytest.mark.parametrize(
    "deployment",
    [
        blue_green("CANARY", 300, CanarySize=HALF),
        blue_green("ALL_AT_ONCE", 300),
        rolling(300, MaximumBatchSize=ONE),
    ],
)
def test_an_alarm_rolls_back(endpoint, sagemaker, runtime, alarm, deployment):
    update(sagemaker, "new", deployment)
    until(lambda: "new" in answered(runtime, 8))
    alarm("ALARM")
    found = settled(sagemaker, endpoint)
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == "old"
    assert found["FailureReason"] == (
        "The update was rolled back: the alarm 'rings' is in the state ALARM"
    )
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert set(answered(runtime)) == OLD
    # An alarm that rings already lets no request through.
    update(sagemaker, "new", deployment)
    assert "ALARM" in settled(sagemaker, endpoint)["FailureReason"]


def test_new_instances_that_do_not_get_ready_are_rolled_back(endpoint, sagemaker, runtime, alarm):
    update(sagemaker, "no", rolling(0, MaximumBatchSize=HALF))
    found = settled(sagemaker, endpoint)
    assert found["EndpointConfigName"] == "old"
    assert "Failed to extract model data archive" in found["FailureReason"]
    assert set(answered(runtime)) == OLD


def test_an_endpoint_is_deleted_in_the_middle_of_its_update(sagemaker, runtime, alarm):
    sagemaker.create_endpoint(EndpointName="gone", EndpointConfigName="old")
    assert settled(sagemaker, "gone")["EndpointStatus"] == "InService"
    update(sagemaker, "new", blue_green("CANARY", 300, CanarySize=HALF), "gone")
    sagemaker.delete_endpoint(EndpointName="gone")
    until(lambda: gone(sagemaker, "gone"))


def gone(sagemaker, name: str) -> bool:
    return name not in [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]]


def test_a_missing_alarm_is_refused(endpoint, sagemaker):
    with pytest.raises(ClientError, match="CloudWatch has no alarm 'none' in eu-west-1"):
        sagemaker.update_endpoint(
            EndpointName=endpoint,
            EndpointConfigName="new",
            DeploymentConfig={
                **blue_green("ALL_AT_ONCE"),
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "none"}]},
            },
        )


def test_a_shadow_variant_gets_copies_and_its_answers_are_captured(sagemaker, runtime, hosting):
    sagemaker.create_endpoint_config(
        EndpointConfigName="shadowed",
        ProductionVariants=[variant("seen")],
        ShadowProductionVariants=[variant("shade")],
        DataCaptureConfig=CAPTURE,
    )
    sagemaker.create_endpoint(EndpointName="shadowed", EndpointConfigName="shadowed")
    found = settled(sagemaker, "shadowed")
    assert [entry["VariantName"] for entry in found["ShadowProductionVariants"]] == ["shade"]
    answer = runtime.invoke_endpoint(
        EndpointName="shadowed", Body=photo("red"), ContentType="image/jpeg"
    )
    assert answer["InvokedProductionVariant"] == "seen"
    s3 = hosting.client("s3")

    def captured() -> dict[str, Any]:
        prefix = "captured/shadowed/shade/"
        [kept] = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
        body = s3.get_object(Bucket=BUCKET, Key=kept["Key"])["Body"].read()
        record: dict[str, Any] = json.loads(body)
        return record

    event = until(captured)
    output = event["captureData"]["endpointOutput"]
    assert json.loads(output["data"])["predictions"][0]["label"] == "red"
    sagemaker.delete_endpoint(EndpointName="shadowed")
