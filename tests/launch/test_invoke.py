"""The command invoke: photos here and in S3, their answers, and refusals."""

import json

import pytest

from launch.errors import LaunchError
from launch.invoke import invoke
from tests.support.launching import prediction, streamed


def test_a_photos_answer_is_a_row(colours, photos):
    one = colours(photos=[str(photos / "blue")])
    photo = photos / "blue/blue 0.jpg"
    one.answer(
        "sagemaker-runtime",
        "invoke_endpoint",
        {"Body": streamed(prediction())},
        {
            "EndpointName": "colours",
            "Body": photo.read_bytes(),
            "ContentType": "image/jpeg",
            "Accept": "application/json",
        },
    )
    assert invoke(one.context) == 0
    rows = [line.split() for line in one.finished().splitlines()]
    assert rows == [
        ["photo", "label", "probability", "next"],
        ["blue/blue", "0.jpg", "blue", "0.9000", "green", "0.0600"],
    ]


def test_answers_as_json_and_photos_of_s3(colours):
    one = colours(
        "multi-model", photos=["s3://b/a/photo.png"], json=True, target="other-0123456789ab.tar.gz"
    )
    one.answer(
        "s3", "get_object", {"Body": streamed(b"a photo")}, {"Bucket": "b", "Key": "a/photo.png"}
    )
    one.answer(
        "sagemaker-runtime",
        "invoke_endpoint",
        {"Body": streamed(prediction())},
        {
            "EndpointName": "colours",
            "Body": b"a photo",
            "ContentType": "image/png",
            "Accept": "application/json",
            "TargetModel": "other-0123456789ab.tar.gz",
        },
    )
    assert invoke(one.context) == 0
    assert json.loads(one.finished())["label"] == "blue"
    assert json.loads(one.finished())["photo"] == "s3://b/a/photo.png"


def test_refusals_stand_in_the_table(colours, photos, tmp_path):
    one = colours(photos=[str(photos / "blue/blue 0.jpg")])
    one.stub("sagemaker-runtime").add_client_error(
        "invoke_endpoint",
        # SageMaker's error around the container's own.
        "ModelError",
        "Received client error (422)",
        424,
        modeled_fields={
            "OriginalStatusCode": 422,
            "OriginalMessage": '{"error": "it is not a photo"}',
        },
    )
    assert invoke(one.context) == 1
    assert "blue/blue 0.jpg  failed: 422: it is not a photo" in one.finished()
    large = tmp_path / "large.jpg"
    # One byte more than a serverless endpoint takes.
    large.write_bytes(b"0" * 4_000_001)
    two = colours("serverless", photos=[str(large)])
    assert invoke(two.context) == 1
    assert (
        "failed: it has 4.0 MB; serverless endpoints take 4.0 MB (async ones 1 GB)"
        in two.finished()
    )
    three = colours(photos=[str(photos / "blue/blue 0.jpg")])
    # Another model's answer.
    three.answer("sagemaker-runtime", "invoke_endpoint", {"Body": streamed(b"hello")})
    assert invoke(three.context) == 1
    assert "has not the form of slipway-serve's answers" in three.finished()


@pytest.mark.parametrize(
    "given, expected",
    [("none.jpg", "the photo 'none.jpg' does not exist"), (".", "there are no photos in .")],
)
def test_photos_that_are_not_there(colours, tmp_path, monkeypatch, given, expected):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(LaunchError, match=expected):
        invoke(colours(photos=[given]).context)


def test_asynchronous_answers_are_waited_for(colours, photos):
    one = colours("async", photos=[str(photos / "blue/blue 0.jpg")])
    key = "slipway/colours/async/input/261121-1815-k3f9/blue/blue 0.jpg"
    where = {
        "OutputLocation": "s3://photos/out/1.out",
        "FailureLocation": "s3://photos/failed/1.out",
    }
    one.answer(
        "s3",
        "put_object",
        {},
        {
            "Bucket": "photos",
            "Key": key,
            "Body": (photos / "blue/blue 0.jpg").read_bytes(),
            "ContentType": "image/jpeg",
        },
    )
    one.answer(
        "sagemaker-runtime",
        "invoke_endpoint_async",
        where,
        {
            "EndpointName": "colours",
            "InputLocation": f"s3://photos/{key}",
            "ContentType": "image/jpeg",
            "Accept": "application/json",
        },
    )
    # Neither the answer nor a failure is there yet.
    for _ in range(2):
        one.refuse("s3", "get_object", "NoSuchKey")
    one.answer(
        "s3",
        "get_object",
        {"Body": streamed(prediction())},
        {"Bucket": "photos", "Key": "out/1.out"},
    )
    assert invoke(one.context) == 0
    assert "0.9000" in one.finished()
    # It is in S3 already: nothing is put there.
    two = colours("async", photos=["s3://photos/a.jpg"])
    two.answer("sagemaker-runtime", "invoke_endpoint_async", where)
    two.refuse("s3", "get_object", "NoSuchKey")
    two.answer(
        "s3",
        "get_object",
        {"Body": streamed(b'{"error": "too large"}')},
        {"Bucket": "photos", "Key": "failed/1.out"},
    )
    assert invoke(two.context) == 1
    assert "failed: too large" in two.finished()
