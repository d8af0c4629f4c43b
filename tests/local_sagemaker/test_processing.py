"""Processing jobs on local SageMaker: our own preparation as processes, and any image on Docker."""

import csv
import io
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.jobs import REPOSITORY
from tests.support.photo_folders import picture
from tests.support.sagemakers import BUCKET, ROLE, TRAIN_IMAGE, Client, until

pytestmark = pytest.mark.slow

PREPARE = ["/opt/venv/bin/python", "-m", "prepare"]
ROOT = "/opt/ml/processing"
ENDED = ("Completed", "Failed", "Stopped")


def given_input(name: str, prefix: str, **more: str) -> dict[str, Any]:
    source = {
        "S3Uri": f"s3://{BUCKET}/{prefix}",
        "LocalPath": f"{ROOT}/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        **more,
    }
    return {"InputName": name, "S3Input": source}


def given_output(name: str, prefix: str, mode: str = "EndOfJob") -> dict[str, Any]:
    target = {
        "S3Uri": f"s3://{BUCKET}/{prefix}",
        "LocalPath": f"{ROOT}/{name}",
        "S3UploadMode": mode,
    }
    return {"OutputName": name, "S3Output": target}


def jpeg(seed: int) -> bytes:
    buffer = io.BytesIO()
    picture(seed).save(buffer, "JPEG")
    return buffer.getvalue()


def job(name: str, words: list[str], hosts: int = 1, **more: Any) -> dict[str, Any]:
    resources = {"InstanceCount": hosts, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {
            "ImageUri": TRAIN_IMAGE,
            "ContainerEntrypoint": PREPARE,
            "ContainerArguments": words,
        },
        "ProcessingResources": {"ClusterConfig": resources},
        **more,
    }


def ended(sagemaker: Client, name: str) -> dict[str, Any]:
    """DescribeProcessingJob once the job has ended."""

    def at_the_end() -> dict[str, Any] | None:
        record: dict[str, Any] = sagemaker.describe_processing_job(ProcessingJobName=name)
        return record if record["ProcessingJobStatus"] in ENDED else None

    return until(at_the_end)


def keys(s3: Client, prefix: str) -> list[str]:
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return sorted(entry["Key"].removeprefix(prefix) for entry in found)


def test_two_hosts_decode_and_one_joins(hosting, sagemaker):
    s3 = hosting.client("s3")
    for colour in ("red", "green"):
        for number in range(6):
            key = f"raw/{colour}/{number}.jpg"
            s3.put_object(Bucket=BUCKET, Key=key, Body=jpeg(number + 10 * len(colour)))
    sagemaker.create_processing_job(
        **job(
            "shards",
            [f"{ROOT}/photos", f"{ROOT}/shard", "--step", "shard", "--workers", "1"],
            hosts=2,
            ProcessingInputs=[
                given_input("photos", "raw/", S3DataDistributionType="ShardedByS3Key")
            ],
            ProcessingOutputConfig={"Outputs": [given_output("shard", "shards/")]},
        )
    )
    found = ended(sagemaker, "shards")
    assert found["ProcessingJobStatus"] == "Completed", found.get("FailureReason")
    lists = [key for key in keys(s3, "shards/") if key.endswith(".json")]
    assert len(lists) == 2
    photos = [
        len(json.loads(s3.get_object(Bucket=BUCKET, Key=f"shards/{key}")["Body"].read())["photos"])
        for key in lists
    ]
    assert photos == [6, 6]
    sagemaker.create_processing_job(
        **job(
            "join",
            [f"{ROOT}/shards", f"{ROOT}/prepared", "--step", "join", "--split", "0.5,0.25,0.25"],
            ProcessingInputs=[given_input("shards", "shards/")],
            ProcessingOutputConfig={"Outputs": [given_output("prepared", "prepared/")]},
        )
    )
    found = ended(sagemaker, "join")
    assert found["ProcessingJobStatus"] == "Completed", found.get("FailureReason")
    made = keys(s3, "prepared/")
    assert "report.html" in made
    assert sum(key.endswith(".jpg") for key in made if key.startswith("train/")) >= 4
    listed = sagemaker.list_processing_jobs(StatusEquals="Completed")["ProcessingJobSummaries"]
    assert {"shards", "join"} <= {entry["ProcessingJobName"] for entry in listed}
    sagemaker.delete_processing_job(ProcessingJobName="join")
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.describe_processing_job(ProcessingJobName="join")


def test_a_job_that_fails_says_why(hosting, sagemaker):
    s3 = hosting.client("s3")
    s3.put_object(Bucket=BUCKET, Key="text/a.txt", Body=b"no photo")
    request = job(
        "fails",
        [f"{ROOT}/photos", f"{ROOT}/out"],
        ProcessingInputs=[given_input("photos", "text/")],
    )
    sagemaker.create_processing_job(**request)
    found = ended(sagemaker, "fails")
    assert found["ProcessingJobStatus"] == "Failed"
    assert found["FailureReason"].startswith("AlgorithmError: prepare: ")
    assert found["FailureReason"].endswith("exit code: 1")
    with pytest.raises(ClientError, match="a job with this name already exists"):
        sagemaker.create_processing_job(**request)
    other = job("script", ["x"])
    other["AppSpecification"] = {"ImageUri": "python:3", "ContainerEntrypoint": ["python", "x.py"]}
    sagemaker.create_processing_job(**other)
    reason = ended(sagemaker, "script")["FailureReason"]
    assert "a processing job runs a program in its image, and this server runs no images" in reason


@pytest.mark.parametrize(
    "change, words",
    [
        (
            {"ProcessingInputs": [{"InputName": "x", "DatasetDefinition": {}}]},
            "has no S3Input; nothing else is done here",
        ),
        (
            {"ProcessingInputs": [given_input("x", "", LocalPath="/etc")]},
            "must lie below /opt/ml/processing; found '/etc'",
        ),
        (
            {"ProcessingOutputConfig": {"Outputs": [given_output("a", "b")] * 2}},
            "must be unique; found a, a",
        ),
    ],
)
def test_what_is_not_done_is_refused(sagemaker, change, words):
    with pytest.raises(ClientError) as caught:
        sagemaker.create_processing_job(**job("refused", ["x", "y"], **change))
    assert words in str(caught.value)


RECIPE = f"""
name: drawn
prepare: {{photos: photos, split: "0.5,0.25,0.25", workers: 1}}
sagemaker:
  region: eu-west-1
  bucket: {BUCKET}
  role: {ROLE}
  image_uris: {{train: '{TRAIN_IMAGE}'}}
  preparation: {{instance_count: 2}}
"""


def split_of(rows: str) -> dict[str, str]:
    """By photo: its side of the split, from the text of a manifest.csv."""
    return {row["source"]: row["split"] for row in csv.DictReader(io.StringIO(rows))}


@pytest.mark.verify
@pytest.mark.parametrize("labelled", [False, True])
def test_launch_prepare_splits_as_one_machine_does(hosting, tmp_path, labelled):
    folder = tmp_path / "photos"
    rows = ["file,label"]
    for number in range(24):
        colour = ("red", "green")[number % 2]
        name = f"{number}.jpg" if labelled else f"{colour}/{number}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(number // 3))  # each one three times
        rows.append(f"{name},{colour}")
    if labelled:
        (folder / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    environment = {
        **os.environ,
        **hosting.exports,
        "AWS_ENDPOINT_URL": hosting.moto_url,
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "launch", "prepare", "recipe.yaml", "--poll", "0.2"]
    done = subprocess.run(
        [*command, "--again"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "channels:" in done.stdout
    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("train:"))
    prefix = line.partition(f"s3://{BUCKET}/")[2].removesuffix("train/")
    s3 = hosting.client("s3")
    manifest = s3.get_object(Bucket=BUCKET, Key=f"{prefix}manifest.csv")["Body"].read().decode()
    alone = tmp_path / "alone"
    words = [folder, alone, "--split", "0.5,0.25,0.25", "--workers", "1"]
    subprocess.run([sys.executable, "-m", "prepare", *map(str, words)], cwd=REPOSITORY, check=True)
    assert split_of(manifest) == split_of((alone / "manifest.csv").read_text())
    assert len(split_of(manifest)) == 24
