"""A user's own script on local SageMaker, as the SDK sends it: sourcedir.tar.gz in S3.

It runs in the training image, fetches its code by the way that containers have to S3, and fails
with its own words.
"""

import io
import tarfile
from typing import Any

import pytest

from tests.support.jobs import draw_channel
from tests.support.sagemakers import (
    BUCKET,
    Cloud,
    ended,
    local_sagemaker,
    moto,
    put_folder,
    training_request,
    until,
)

pytestmark = pytest.mark.docker
SCRIPT = """
import argparse, os
import boto3
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--mode", default="")
options, _ = parser.parse_known_args()
print("region", os.environ["AWS_REGION"], "mine", os.environ.get("MINE"))
s3 = boto3.client("s3", region_name=os.environ["AWS_REGION"])
s3.put_object(Bucket="photos", Key=f"made/{options.lr}", Body=b"x" * 100_000)
[made] = s3.list_objects_v2(Bucket="photos", Prefix=f"made/{options.lr}")["Contents"]
print("made", made["Size"], "classes", sorted(os.listdir(os.environ["SM_CHANNEL_DATA"])))
print(f"loss={options.lr};")
if options.mode == "fail":
    raise ValueError("my own reason")
open(os.environ["SM_MODEL_DIR"] + "/model.pth", "w").write("weights")
"""
METRICS = [{"Name": "loss", "Regex": "loss=(.*?);"}, {"Name": "size", "Regex": "made ([0-9]+)"}]


def script_request(cloud: Cloud, name: str, **hyperparameters: str) -> dict[str, Any]:
    """CreateTrainingJob as the SDK's PyTorch(entry_point=…) has it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        member = tarfile.TarInfo("mine.py")
        member.size = len(SCRIPT)
        file.addfile(member, io.BytesIO(SCRIPT.encode()))
    key = f"{name}/source/sourcedir.tar.gz"
    cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=archive.getvalue())
    request = training_request(name)
    request["AlgorithmSpecification"]["MetricDefinitions"] = METRICS
    request["InputDataConfig"][0]["ChannelName"] = "data"
    request["HyperParameters"] = {
        "sagemaker_submit_directory": f'"s3://{BUCKET}/{key}"',
        "sagemaker_program": '"mine.py"',
        "sagemaker_region": '"eu-west-1"',
        **hyperparameters,
    }
    request["Environment"] = {"MINE": "yes"}
    return request


def test_a_users_script_fetches_its_code_and_fails_with_its_own_words(tmp_path, images):
    with moto() as url, local_sagemaker(tmp_path / "state", url, engine="docker") as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 1), "train")
        sagemaker = cloud.client("sagemaker")
        request = script_request(cloud, "failed", lr="0.5", mode='"fail"')
        profile = f"s3://{BUCKET}/profile"
        request["ProfilerConfig"] = {"S3OutputPath": profile, "DisableProfiler": False}
        sagemaker.create_training_job(**request)
        job = ended(sagemaker, "failed")
        measured = cloud.client("s3").list_objects_v2(
            Bucket=BUCKET, Prefix="profile/failed/profiler-output/system/incremental/"
        )
    assert measured["KeyCount"]
    assert job["TrainingJobStatus"] == "Failed"
    assert "ValueError: my own reason" in job["FailureReason"]
    [log] = (tmp_path / "state" / "logs" / "TrainingJobs" / "failed").iterdir()
    printed = log.read_text()
    assert "region eu-west-1 mine yes" in printed
    assert "made 100000 classes ['blue', 'green', 'red']" in printed
    assert {entry["MetricName"]: entry["Value"] for entry in job["FinalMetricDataList"]} == {
        "loss": 0.5,
        "size": 100000,
    }


@pytest.mark.verify
def test_a_tuner_runs_a_users_script(tmp_path, images):
    with moto() as url, local_sagemaker(tmp_path / "state", url, engine="docker") as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 1), "train")
        sagemaker = cloud.client("sagemaker")
        training = script_request(cloud, "tuned")
        static = training.pop("HyperParameters")
        del training["TrainingJobName"]
        training["ResourceConfig"]["InstanceCount"] = 2
        lr = {"Name": "lr", "MinValue": "0.1", "MaxValue": "0.2"}
        sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="tuned",
            HyperParameterTuningJobConfig={
                "Strategy": "Random",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
                "ParameterRanges": {"ContinuousParameterRanges": [lr]},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
            },
            TrainingJobDefinition={**training, "StaticHyperParameters": static},
        )
        asked = {"HyperParameterTuningJobName": "tuned"}
        ask = sagemaker.describe_hyper_parameter_tuning_job
        until(lambda: ask(**asked)["HyperParameterTuningJobStatus"] != "InProgress", 300)
        job = ask(**asked)
        assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
        best = sagemaker.describe_training_job(
            TrainingJobName=job["BestTrainingJob"]["TrainingJobName"]
        )
    final = {entry["MetricName"]: entry["Value"] for entry in best["FinalMetricDataList"]}
    assert final["size"] == 100_000
    assert final["loss"] == pytest.approx(float(best["HyperParameters"]["lr"]))
    assert best["Environment"] == {"MINE": "yes"}
    logs = tmp_path / "state" / "logs" / "TrainingJobs" / best["TrainingJobName"]
    assert len(list(logs.iterdir())) == 2  # one per host
