"""Local SageMaker for tests: its real server and moto's, each a process on a free port, and boto3's clients of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config

from runtime.ports import free_port
from tests.support.jobs import REPOSITORY, SMALL

BUCKET = "photos"
ROLE = "arn:aws:iam::123456789012:role/SlipwayRole"
TRAIN_IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-train:abc"
SERVE_IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-serve:abc"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-west-1",
}


@dataclass
class Cloud:
    """Where the servers are, and clients of them."""

    url: str
    moto_url: str
    process: subprocess.Popen

    def client(self, service: str, region: str = "eu-west-1"):
        url = self.url if service.startswith("sagemaker") else self.moto_url
        return boto3.client(
            service,
            endpoint_url=url,
            region_name=region,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"max_attempts": 0}, read_timeout=120),
        )


@contextmanager
def moto() -> Iterator[str]:
    """moto's server; its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        s3 = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="eu-west-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        until(lambda: s3.list_buckets() is not None)
        s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def local_sagemaker(
    state: Path, moto_url: str, engine: str = "process", port: int = 0
) -> Iterator[Cloud]:
    """`python -m local_sagemaker`; it must leave with 0 at SIGTERM."""
    environment = {
        **os.environ,
        **CREDENTIALS,
        "OMP_NUM_THREADS": "1",
        "AWS_ENDPOINT_URL_S3": moto_url,
        "AWS_ENDPOINT_URL_LOGS": moto_url,
    }
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "local_sagemaker",
            "--port",
            str(port),
            "--state",
            str(state),
            "--engine",
            engine,
        ],
        cwd=REPOSITORY,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        line = process.stdout.readline()
        assert " url=" in line, "the server did not start"
        yield Cloud(line.rpartition("url=")[2].strip(), moto_url, process)
        if process.poll() is None:
            process.terminate()
            assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def until(condition: Callable[[], object], timeout_s: float = 60) -> object:
    """What the condition gives once it gives something; errors of a server that is not up yet do not count."""
    deadline, seen = time.monotonic() + timeout_s, None
    while time.monotonic() < deadline:
        try:
            if found := condition():
                return found
        except Exception as error:
            seen = error
        time.sleep(0.05)
    raise AssertionError(f"it did not come within {timeout_s} s; last error: {seen}")


def training_request(name: str, **hyperparameters: object) -> dict:
    """A training of the small network on the bucket's photos."""
    texts = {**SMALL, **{key: str(value) for key, value in hyperparameters.items()}}
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{BUCKET}/train/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {
        "TrainingJobName": name,
        "HyperParameters": texts,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": TRAIN_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [
                {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}
            ],
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def ended(sagemaker, name: str, timeout_s: float = 180) -> dict:
    """DescribeTrainingJob once the job has ended."""
    until(
        lambda: (
            sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            in ("Completed", "Failed", "Stopped")
        ),
        timeout_s,
    )
    return sagemaker.describe_training_job(TrainingJobName=name)


def put_folder(s3, folder: Path, prefix: str) -> None:
    for path in sorted(part for part in folder.rglob("*") if part.is_file()):
        s3.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
