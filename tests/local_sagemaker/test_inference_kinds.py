"""Asynchronous inference and multi-model endpoints on local SageMaker."""

import io
import json
import tarfile

import pytest
from botocore.exceptions import ClientError

from tests.support.hosting import label, settled, variant
from tests.support.sagemakers import BUCKET, ROLE, SERVE_IMAGE, until
from tests.support.servers import photo

pytestmark = pytest.mark.slow


def test_async_inference(sagemaker, runtime, hosting):
    s3 = hosting.client("s3")
    s3.put_object(Bucket=BUCKET, Key="in/blue.jpg", Body=photo("blue"))
    # No photo: its answer is a failure.
    s3.put_object(Bucket=BUCKET, Key="in/none.jpg", Body=b"none")
    topic, told = subscribed(hosting)
    sagemaker.create_endpoint_config(
        EndpointConfigName="later",
        ProductionVariants=[variant()],
        AsyncInferenceConfig={
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/later",
                "S3FailurePath": f"s3://{BUCKET}/failed",
                "NotificationConfig": {"SuccessTopic": topic, "ErrorTopic": topic},
            },
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
        },
    )
    sagemaker.create_endpoint(EndpointName="later", EndpointConfigName="later")
    assert settled(sagemaker, "later")["EndpointStatus"] == "InService"

    def content(location: str) -> bytes:
        bucket, _, key = location.removeprefix("s3://").partition("/")
        # The answer is an object in S3, which comes later.
        return until(lambda: s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    answer = runtime.invoke_endpoint_async(
        EndpointName="later",
        InputLocation=f"s3://{BUCKET}/in/blue.jpg",
        ContentType="image/jpeg",
        S3OutputPathExtension="of/blue",
    )
    assert answer["OutputLocation"].startswith(f"s3://{BUCKET}/later/of/blue/")
    assert json.loads(content(answer["OutputLocation"]))["predictions"][0]["label"] == "blue"
    # Without a type: the object's own counts, and S3 has given it none.
    answer = runtime.invoke_endpoint_async(
        EndpointName="later", InputLocation=f"s3://{BUCKET}/in/none.jpg"
    )
    assert b"Received client error (422)" in content(answer["FailureLocation"])
    answer = runtime.invoke_endpoint_async(
        EndpointName="later", InputLocation=f"s3://{BUCKET}/in/gone.jpg", ContentType="image/jpeg"
    )
    assert b"in/gone.jpg" in content(answer["FailureLocation"])
    # One call at a time, so that their notices are in order.
    notices = until(told)
    assert [notice["invocationStatus"] for notice in notices] == ["Completed", "Failed", "Failed"]
    assert notices[2]["inferenceId"] == answer["InferenceId"]
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


def subscribed(hosting):
    """A topic, and a function for its messages: none until there are three."""
    sns, sqs = hosting.client("sns"), hosting.client("sqs")
    topic = sns.create_topic(Name="notices")["TopicArn"]
    queue = sqs.create_queue(QueueName="notices")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    found = []

    def told() -> list[dict] | None:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            found.append(json.loads(json.loads(message["Body"])["Message"]))
        return found if len(found) == 3 else None

    return topic, told


def test_a_multi_model_endpoint(sagemaker, runtime, hosting):
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
    s3 = hosting.client("s3")
    whole = s3.get_object(Bucket=BUCKET, Key="many/one.tar.gz")["Body"].read()

    def ask_two() -> dict:
        return runtime.invoke_endpoint(
            EndpointName="many", TargetModel="two.tar.gz", Body=photo(), ContentType="image/jpeg"
        )

    # An archive that was cut off, and one without a model, leave nothing that a later call takes.
    for content in (whole[: len(whole) * 6 // 10], archive_of(b"no model")):
        s3.put_object(Bucket=BUCKET, Key="many/two.tar.gz", Body=content)
        with pytest.raises(ClientError):
            ask_two()
    s3.put_object(Bucket=BUCKET, Key="many/two.tar.gz", Body=whole)
    assert label(ask_two()) == "red"
    sagemaker.delete_endpoint(EndpointName="many")


def archive_of(content: bytes) -> bytes:
    """A model.tar.gz whose model.json has this content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("model.json")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
