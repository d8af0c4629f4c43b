"""Endpoints on local SageMaker, through boto3: real servers as processes over a real model."""

import json

import pytest
from botocore.exceptions import ClientError

from runtime.opt_ml import pack_model
from tests.support.sagemakers import BUCKET, ROLE, SERVE_IMAGE, local_sagemaker, moto, until
from tests.support.servers import b64, photo


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, colours):
    archive = tmp_path_factory.mktemp("archive") / "model.tar.gz"
    pack_model(colours.root, archive)
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
        for key in ("models/good.tar.gz", "many/one.tar.gz"):
            s3.upload_file(str(archive), BUCKET, key)
        s3.put_object(Bucket=BUCKET, Key="models/broken.tar.gz", Body=b"no archive")
        for name in ("good", "broken"):
            data = f"s3://{BUCKET}/models/{name}.tar.gz"
            sagemaker.create_model(
                ModelName=name,
                ExecutionRoleArn=ROLE,
                PrimaryContainer={"Image": SERVE_IMAGE, "ModelDataUrl": data},
            )
        yield cloud


@pytest.fixture(scope="module")
def sagemaker(cloud):
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def runtime(cloud):
    return cloud.client("sagemaker-runtime")


def variant(name: str = "all", model: str = "good", **more: object) -> dict:
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        **more,
    }


def settled(sagemaker, name: str) -> dict:
    until(
        lambda: (
            sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
            not in ("Creating", "Updating")
        )
    )
    return sagemaker.describe_endpoint(EndpointName=name)


@pytest.fixture(scope="module")
def endpoint(sagemaker) -> str:
    sagemaker.create_endpoint_config(EndpointConfigName="first", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="first")
    assert sagemaker.describe_endpoint(EndpointName="live")["EndpointStatus"] == "Creating"
    found = settled(sagemaker, "live")
    assert found["EndpointStatus"] == "InService", found
    return "live"


def label(answer: dict) -> str:
    return json.loads(answer["Body"].read())["predictions"][0]["label"]


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
    answer = caught.value.response
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


def test_an_update_switches_to_variants_by_weight(endpoint, sagemaker, runtime, cloud):
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
    s3 = cloud.client("s3")
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


def ask(runtime, endpoint: str, **more: str) -> set[str]:
    """Variants that answered a few calls."""
    return {
        runtime.invoke_endpoint(
            EndpointName=endpoint, Body=photo(), ContentType="image/jpeg", **more
        )["InvokedProductionVariant"]
        for _ in range(4)
    }


def test_async_inference(sagemaker, runtime, cloud):
    s3 = cloud.client("s3")
    s3.put_object(Bucket=BUCKET, Key="in/blue.jpg", Body=photo("blue"))
    s3.put_object(Bucket=BUCKET, Key="in/none.jpg", Body=b"none")
    sagemaker.create_endpoint_config(
        EndpointConfigName="later",
        ProductionVariants=[variant()],
        AsyncInferenceConfig={
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/later",
                "S3FailurePath": f"s3://{BUCKET}/failed",
            }
        },
    )
    sagemaker.create_endpoint(EndpointName="later", EndpointConfigName="later")
    assert settled(sagemaker, "later")["EndpointStatus"] == "InService"

    def content(location: str) -> bytes:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        return until(lambda: s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    answer = runtime.invoke_endpoint_async(
        EndpointName="later", InputLocation=f"s3://{BUCKET}/in/blue.jpg", ContentType="image/jpeg"
    )
    assert json.loads(content(answer["OutputLocation"]))["predictions"][0]["label"] == "blue"
    answer = runtime.invoke_endpoint_async(
        EndpointName="later", InputLocation=f"s3://{BUCKET}/in/none.jpg", ContentType="image/jpeg"
    )
    assert b"Received client error (422)" in content(answer["FailureLocation"])
    with pytest.raises(ClientError, match="does not support this inference type"):
        runtime.invoke_endpoint(EndpointName="later", Body=photo(), ContentType="image/jpeg")
    sagemaker.delete_endpoint(EndpointName="later")
    until(
        lambda: (
            "later"
            not in [entry["EndpointName"] for entry in sagemaker.list_endpoints()["Endpoints"]]
        )
    )
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName="later")


def test_a_multi_model_endpoint(sagemaker, runtime):
    container = {"Image": SERVE_IMAGE, "Mode": "MultiModel", "ModelDataUrl": f"s3://{BUCKET}/many/"}
    sagemaker.create_model(ModelName="many", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.create_endpoint_config(
        EndpointConfigName="many", ProductionVariants=[variant(model="many")]
    )
    sagemaker.create_endpoint(EndpointName="many", EndpointConfigName="many")
    assert settled(sagemaker, "many")["EndpointStatus"] == "InService"
    for colour in ("red", "blue"):
        assert (
            label(
                runtime.invoke_endpoint(
                    EndpointName="many",
                    TargetModel="one.tar.gz",
                    Body=photo(colour),
                    ContentType="image/jpeg",
                )
            )
            == colour
        )
    with pytest.raises(ClientError, match="Failed to download model data for model two.tar.gz"):
        runtime.invoke_endpoint(
            EndpointName="many", TargetModel="two.tar.gz", Body=photo(), ContentType="image/jpeg"
        )
    sagemaker.delete_endpoint(EndpointName="many")


def test_a_transform_job_answers_photos_and_json_lines(sagemaker, cloud):
    s3 = cloud.client("s3")
    for colour in ("red", "green"):
        s3.put_object(Bucket=BUCKET, Key=f"batch/{colour}.jpg", Body=photo(colour))
    lines = b"".join(
        json.dumps({"instances": [{"b64": b64(photo(colour))}]}).encode() + b"\n"
        for colour in ("blue", "red")
    )
    s3.put_object(Bucket=BUCKET, Key="lines/all.jsonl", Body=lines)
    source = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/batch/"}
        },
        "ContentType": "image/jpeg",
    }
    by_line = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/lines/"}
        },
        "ContentType": "application/json",
        "SplitType": "Line",
    }
    common = {
        "ModelName": "good",
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "BatchStrategy": "SingleRecord",
    }
    sagemaker.create_transform_job(
        TransformJobName="photos",
        TransformInput=source,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/answers"},
        **common,
    )
    sagemaker.create_transform_job(
        TransformJobName="lines",
        TransformInput=by_line,
        **common,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/answers", "AssembleWith": "Line"},
    )
    for name in ("photos", "lines"):
        until(
            lambda: (
                sagemaker.describe_transform_job(TransformJobName=name)["TransformJobStatus"]
                != "InProgress"
            )
        )
        found = sagemaker.describe_transform_job(TransformJobName=name)
        assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")

    def labels(key: str) -> list[str]:
        text = s3.get_object(Bucket=BUCKET, Key=f"answers/{key}.out")["Body"].read().decode()
        return [json.loads(line)["predictions"][0]["label"] for line in text.splitlines()]

    assert labels("red.jpg") == ["red"]
    assert labels("green.jpg") == ["green"]
    assert labels("all.jsonl") == ["blue", "red"]


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


def test_a_transform_job_is_stopped(sagemaker):
    source = {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/models/"}
        },
        "ContentType": "image/jpeg",
    }
    sagemaker.create_transform_job(
        TransformJobName="stopped",
        ModelName="good",
        TransformInput=source,
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/answers"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    sagemaker.stop_transform_job(TransformJobName="stopped")
    until(
        lambda: (
            sagemaker.describe_transform_job(TransformJobName="stopped")["TransformJobStatus"]
            == "Stopped"
        )
    )
    assert [
        job["TransformJobName"]
        for job in sagemaker.list_transform_jobs(StatusEquals="Stopped")["TransformJobSummaries"]
    ] == ["stopped"]


def test_an_endpoint_is_there_again_after_a_restart(cloud, tmp_path):
    data = f"s3://{BUCKET}/models/good.tar.gz"
    with local_sagemaker(tmp_path, cloud.moto_url) as first:
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
    with local_sagemaker(tmp_path, cloud.moto_url) as second:
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
