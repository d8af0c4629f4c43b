"""Trainings on local SageMaker, through boto3: real small trainings as processes, moto for S3 and logs."""

import io
import tarfile

import pytest

from conftest import draw_channel
from sagemakers import BUCKET, ended, local_sagemaker, moto, put_folder, training_request


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path_factory.mktemp("photos"), 6), "train")
        yield cloud


@pytest.fixture(scope="module")
def sagemaker(cloud):
    return cloud.client("sagemaker")


def test_a_training_runs_whole(cloud, sagemaker):
    made = sagemaker.create_training_job(**training_request("whole", epochs=2), Tags=[{"Key": "kit", "Value": "slipway"}])
    assert made["TrainingJobArn"] == "arn:aws:sagemaker:eu-west-1:123456789012:training-job/whole"
    job = ended(sagemaker, "whole")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/whole/output/model.tar.gz"
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]
    [metric] = job["FinalMetricDataList"]
    assert metric["MetricName"] == "validation:accuracy" and 0 <= metric["Value"] <= 1
    archive = cloud.client("s3").get_object(Bucket=BUCKET, Key="out/whole/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        assert {"model.json", "model.onnx"} <= set(file.getnames())
    assert sagemaker.list_tags(ResourceArn=made["TrainingJobArn"])["Tags"] == [{"Key": "kit", "Value": "slipway"}]
