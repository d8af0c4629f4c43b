"""The command batch: a transform job, and its answers as a table."""

import json

import pytest

from launch.batch import batch, finish_batch, read_answer
from tests.support.launching import (
    ARN,
    prediction,
    streamed,
)


def test_a_transform_job_over_a_folder(colours, photos):
    one = colours(photos="s3://b/photos/", model="s3://b/model.tar.gz")
    name = "colours-batch-261121-1815-k3f9"
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_transform_job", {"TransformJobArn": ARN})
    described = {
        "TransformJobName": name,
        "TransformJobArn": ARN,
        "ModelName": name,
        "CreationTime": 0,
        "TransformResources": {"InstanceType": "ml.c6i.2xlarge", "InstanceCount": 1},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/"}}
        },
    }
    one.answer(
        "sagemaker", "describe_transform_job", {**described, "TransformJobStatus": "InProgress"}
    )
    one.logged()
    one.answer(
        "sagemaker", "describe_transform_job", {**described, "TransformJobStatus": "Completed"}
    )
    one.logged("a line")
    one.answer(
        "s3",
        "list_objects_v2",
        {"Contents": [{"Key": f"slipway/colours/batch/{name}/blue/blue 0.jpg.out"}]},
        {"Bucket": "photos", "Prefix": f"slipway/colours/batch/{name}/"},
    )
    one.answer("s3", "get_object", {"Body": streamed(prediction())})
    assert batch(one.context) == 0
    assert one.finished().endswith(
        f"answers: s3://photos/slipway/colours/batch/{name}/ (one .out per photo)\n"
        "photo            label  probability  next\n"
        "blue/blue 0.jpg  blue   0.9000       green  0.0600"
    )


@pytest.mark.parametrize(
    "content, failure",
    [
        (b'{"error": "it is not a photo"}', "it is not a photo"),
        (b"[]", "has not the form of slipway-serve's answers"),
        (b"\xff\xd8", "has not the form of slipway-serve's answers"),
    ],
)
def test_a_photo_without_an_answer_in_a_transform_job(tmp_path, content, failure):
    (tmp_path / "one.jpg.out").write_bytes(content)
    found = read_answer(tmp_path / "one.jpg.out", "one.jpg")
    assert failure in found.failure
    assert found.photo.where == "one.jpg"


def test_programs_get_a_json_object_per_photo(colours, capsys):
    one = colours(json=True)
    name = "colours-batch-1"
    found = {
        "TransformJobName": name,
        "TransformJobArn": ARN,
        "TransformJobStatus": "Completed",
        "ModelName": name,
        "CreationTime": 0,
        "TransformResources": {"InstanceType": "ml.c6i.2xlarge", "InstanceCount": 1},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/"}}
        },
    }
    one.answer("sagemaker", "describe_transform_job", found)
    one.logged("a line")
    key = f"slipway/colours/batch/{name}/blue 0.jpg.out"
    one.answer("s3", "list_objects_v2", {"Contents": [{"Key": key}]})
    one.answer("s3", "get_object", {"Body": streamed(prediction())})
    assert finish_batch(one.context, name) == 0
    row = json.loads(one.finished())
    assert (row["photo"], row["label"]) == ("blue 0.jpg", "blue")
    assert "answers: s3://" in capsys.readouterr().err
