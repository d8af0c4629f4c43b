"""Endpoints on local SageMaker, through boto3: real servers as processes over a real model."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.hosting import label, settled, variant
from tests.support.sagemakers import BUCKET, ROLE, SERVE_IMAGE, local_sagemaker
from tests.support.servers import photo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint(sagemaker) -> str:
    sagemaker.create_endpoint_config(EndpointConfigName="first", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="first")
    assert sagemaker.describe_endpoint(EndpointName="live")["EndpointStatus"] == "Creating"
    found = settled(sagemaker, "live")
    assert found["EndpointStatus"] == "InService", found
    return "live"


def test_an_endpoint_answers(endpoint, runtime):
    answer = runtime.invoke_endpoint(
        EndpointName=endpoint,
        Body=photo("green"),
        ContentType="image/jpeg",
        Accept="application/json",
    )
    assert label(answer) == "green"
    assert answer["InvokedProductionVariant"] == "all"
    assert answer["ContentType"] == "application/json"


def test_a_bad_photo_is_a_model_error(endpoint, runtime):
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=b"no photo", ContentType="image/jpeg")
    answer: dict[str, Any] = {**caught.value.response}  # with fields of this error alone
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["OriginalStatusCode"] == 422
    assert "photo" in json.loads(answer["OriginalMessage"])["error"]
    assert "Received client error (422) from primary with message" in answer["Error"]["Message"]


def test_what_is_larger_than_6_mb_is_refused(endpoint, runtime):
    with pytest.raises(ClientError, match="HTTP content length exceeded 6291456 bytes") as caught:
        runtime.invoke_endpoint(
            EndpointName=endpoint, Body=bytes(6291457), ContentType="image/jpeg"
        )
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert caught.value.response["Error"]["Code"] == "413"


def test_an_answer_in_pieces_is_refused_in_one_sentence(endpoint, runtime):
    with pytest.raises(ClientError, match="call InvokeEndpoint: its answer") as caught:
        runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=b"x")
    assert caught.value.response["Error"]["Code"] == "ValidationError"


def test_an_endpoint_that_is_not_there(runtime, sagemaker):
    with pytest.raises(
        ClientError, match="Endpoint none of account 123456789012 not found"
    ) as caught:
        runtime.invoke_endpoint(EndpointName="none", Body=b"x")
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    with pytest.raises(
        ClientError,
        match='Could not find endpoint "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/none"',
    ):
        sagemaker.describe_endpoint(EndpointName="none")


def test_an_update_that_fails_leaves_the_old_variant(endpoint, sagemaker, runtime):
    sagemaker.create_endpoint_config(
        EndpointConfigName="bad", ProductionVariants=[variant(model="broken")]
    )
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="bad")
    found = settled(sagemaker, endpoint)
    assert found["EndpointStatus"] == "InService"
    assert found["EndpointConfigName"] == "first"
    assert "Failed to extract model data archive" in found["FailureReason"]
    assert (
        label(
            runtime.invoke_endpoint(
                EndpointName=endpoint, Body=photo("red"), ContentType="image/jpeg"
            )
        )
        == "red"
    )


def ask(runtime, endpoint: str, **more: str) -> set[str]:
    """Variants that answered a few calls."""
    return {
        runtime.invoke_endpoint(
            EndpointName=endpoint, Body=photo(), ContentType="image/jpeg", **more
        )["InvokedProductionVariant"]
        for _ in range(4)
    }


def test_an_update_switches_to_variants_by_weight(endpoint, sagemaker, runtime, hosting):
    sagemaker.create_endpoint_config(
        EndpointConfigName="two",
        ProductionVariants=[
            variant("heavy", InitialVariantWeight=1.0),
            variant("light", InitialVariantWeight=0.0),
        ],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{BUCKET}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    )
    sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="two")
    while (found := sagemaker.describe_endpoint(EndpointName=endpoint))[
        "EndpointStatus"
    ] == "Updating":
        assert (
            label(
                runtime.invoke_endpoint(
                    EndpointName=endpoint, Body=photo("red"), ContentType="image/jpeg"
                )
            )
            == "red"
        )  # at every moment
    assert {entry["VariantName"] for entry in found["ProductionVariants"]} == {"heavy", "light"}, (
        found
    )
    assert ask(runtime, endpoint) == {"heavy"}
    assert ask(runtime, endpoint, TargetVariant="light") == {"light"}
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint,
        DesiredWeightsAndCapacities=[
            {"VariantName": "heavy", "DesiredWeight": 0.0},
            {"VariantName": "light", "DesiredWeight": 2.0, "DesiredInstanceCount": 2},
        ],
    )
    found = settled(sagemaker, endpoint)
    now = {
        entry["VariantName"]: (entry["CurrentWeight"], entry["CurrentInstanceCount"])
        for entry in found["ProductionVariants"]
    }
    assert now == {"heavy": (0.0, 1), "light": (2.0, 2)}
    assert ask(runtime, endpoint) == {"light"}
    s3 = hosting.client("s3")
    kept = json.loads(
        s3.get_object(
            Bucket=BUCKET,
            Key=s3.list_objects_v2(Bucket=BUCKET, Prefix="captured/live/light/")["Contents"][0][
                "Key"
            ],
        )["Body"].read()
    )
    assert kept["captureData"]["endpointInput"]["encoding"] == "BASE64"
    assert "predictions" in json.loads(kept["captureData"]["endpointOutput"]["data"])


def test_an_endpoint_that_never_gets_ready_has_failed(sagemaker, runtime):
    sagemaker.create_model(
        ModelName="empty", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": SERVE_IMAGE}
    )
    sagemaker.create_endpoint_config(
        EndpointConfigName="empty", ProductionVariants=[variant(model="empty")]
    )
    sagemaker.create_endpoint(EndpointName="empty", EndpointConfigName="empty")
    found = settled(sagemaker, "empty")
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        "The primary container for production variant all did not pass the ping health check."
    )
    with pytest.raises(ClientError, match="Cannot update failed endpoint"):
        sagemaker.update_endpoint(EndpointName="empty", EndpointConfigName="empty")
    sagemaker.delete_endpoint(EndpointName="empty")


def test_an_endpoint_comes_to_rest_whatever_goes_wrong(hosting, sagemaker):
    folder = hosting.state / "work" / "endpoint" / "blocked"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()  # where the endpoint's folder would be
    sagemaker.create_endpoint_config(EndpointConfigName="plain", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="blocked", EndpointConfigName="plain")
    found = settled(sagemaker, "blocked")
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith("NotADirectoryError: ")
    sagemaker.delete_endpoint(EndpointName="blocked")


def test_a_change_comes_to_rest_too_and_what_served_goes_on(hosting, sagemaker, runtime):
    sagemaker.create_endpoint_config(EndpointConfigName="kept", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="kept", EndpointConfigName="kept")
    assert settled(sagemaker, "kept")["EndpointStatus"] == "InService"
    logs = hosting.state / "logs" / "Endpoints" / "kept" / "all"
    logs.rename(logs.with_name("moved"))
    logs.touch()  # no further instance can have a log
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="kept",
        DesiredWeightsAndCapacities=[{"VariantName": "all", "DesiredInstanceCount": 2}],
    )
    found = settled(sagemaker, "kept")
    assert found["EndpointStatus"] == "InService"
    assert "FileExistsError" in found["FailureReason"]
    assert ask(runtime, "kept") == {"all"}
    sagemaker.delete_endpoint(EndpointName="kept")


def test_an_endpoint_is_there_again_after_a_restart(hosting, tmp_path):
    data = f"s3://{BUCKET}/models/good.tar.gz"
    with local_sagemaker(tmp_path, hosting.moto_url) as first:
        sagemaker = first.client("sagemaker")
        sagemaker.create_model(
            ModelName="m",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": SERVE_IMAGE, "ModelDataUrl": data},
        )
        sagemaker.create_endpoint_config(
            EndpointConfigName="c", ProductionVariants=[variant(model="m")]
        )
        sagemaker.create_endpoint(EndpointName="again", EndpointConfigName="c")
        assert settled(sagemaker, "again")["EndpointStatus"] == "InService"
    with local_sagemaker(tmp_path, hosting.moto_url) as second:
        assert settled(second.client("sagemaker"), "again")["EndpointStatus"] == "InService"
        runtime = second.client("sagemaker-runtime")
        assert (
            label(
                runtime.invoke_endpoint(
                    EndpointName="again", Body=photo("blue"), ContentType="image/jpeg"
                )
            )
            == "blue"
        )
        # An endpoint whose own configuration was deleted cannot be updated.
        other = second.client("sagemaker")
        other.create_endpoint_config(
            EndpointConfigName="d", ProductionVariants=[variant(model="m")]
        )
        other.delete_endpoint_config(EndpointConfigName="c")
        with pytest.raises(ClientError, match='Could not find endpoint configuration ".*/c"'):
            other.update_endpoint(EndpointName="again", EndpointConfigName="d")
