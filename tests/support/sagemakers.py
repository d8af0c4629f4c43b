"""Local SageMaker for tests: its real server and moto's, and boto3's clients of them.

Each server is a process on a free port.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

from local_sagemaker.access.access import read_exports
from runtime.ports import free_port
from tests.support.jobs import REPOSITORY, SMALL

Client = Any  # boto3 makes a client's operations at run time
Found = TypeVar("Found")
BUCKET = "photos"
ROLE = "arn:aws:iam::123456789012:role/SlipwayRole"
TRAIN_IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-train:abc"
SERVE_IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-serve:abc"
# Services of local SageMaker.
OWN = (
    *("sagemaker", "sagemaker-runtime", "service-quotas"),
    *("resourcegroupstaggingapi", "application-autoscaling"),
)
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
    process: subprocess.Popen[str]
    state: Path
    exports: dict[str, str]  # what the server prints for its clients

    @property
    def key(self) -> tuple[str, str]:
        """The id and the secret of the key that the server has made."""
        return self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"]

    def client(self, service: str, region: str = "eu-west-1") -> Client:
        url = self.url if service in OWN else self.moto_url
        return client_at(url, service, region, self.key)


def client_at(
    url: str,
    service: str,
    region: str = "eu-west-1",
    key: tuple[str, str] = ("testing", "testing"),
) -> Client:
    """boto3's client of a service at an address. It asks once, so that failures are seen."""
    return boto3.Session().client(  # type: ignore[call-overload]  # names are literals there
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"max_attempts": 0}, read_timeout=120),
    )


def signed(
    url: str,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
    key: tuple[str, str],
) -> dict[str, str]:
    """A request's headers with botocore's signature."""
    request = AWSRequest(method, url + path, headers, body)
    credentials = ReadOnlyCredentials(*key, "")
    # The service's own name and region are part of the signature.
    SigV4Auth(credentials, "sagemaker", "eu-west-1").add_auth(request)
    return dict(request.headers)


def asked(
    cloud: Cloud, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request as it stands: nothing is added, refused or repeated."""
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=60)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
        return answer.status, content
    finally:
        connection.close()


def post(cloud: Cloud, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """A signed request of an operation with a body that boto3 would not let through."""
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
    }
    return asked(cloud, "POST", "/", body, signed(cloud.url, "POST", "/", body, headers, cloud.key))


@contextmanager
def moto() -> Iterator[str]:
    """moto's server; its URL."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "local_sagemaker.aws.moto", "--port", str(port)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        s3 = client_at(url, "s3")
        # The server answers some time after its process has started.
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
    """`python -m local_sagemaker`; it must leave with 0 at SIGTERM.

    Folders beside its state may stand in for S3.
    """
    environment = {
        **os.environ,
        **CREDENTIALS,
        # Training processes of two tests would take each other's cores.
        "OMP_NUM_THREADS": "1",
        "AWS_ENDPOINT_URL_S3": moto_url,
        "AWS_ENDPOINT_URL_LOGS": moto_url,
        "AWS_ENDPOINT_URL_CLOUDWATCH": moto_url,
        "AWS_ENDPOINT_URL_SNS": moto_url,
    }
    command = [sys.executable, "-m", "local_sagemaker", "--alone", "--port", str(port)]
    command += ["--state", str(state), "--engine", engine, "--root", str(state.parent)]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, text=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None  # it is a pipe
    try:
        line = process.stdout.readline()
        # The first line tells the port, which the server has chosen.
        assert " url=" in line, "the server did not start"
        url = line.rpartition("url=")[2].strip()
        yield Cloud(url, moto_url, process, state, read_exports(state))
        # A test may have ended the server itself.
        if process.poll() is None:
            process.terminate()
            assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def until(condition: Callable[[], Found | None], timeout_s: float = 60) -> Found:
    """The first true value of the condition; errors do not count, as a server may not be up yet."""
    deadline = time.monotonic() + timeout_s
    seen = None
    while time.monotonic() < deadline:
        try:
            found = condition()
            if found:
                return found
        # Kept for the message: the reason of the last try is the one that counts.
        except Exception as error:
            seen = error
        time.sleep(0.05)
    raise AssertionError(f"it did not come within {timeout_s} s; last error: {seen}")


def training_request(name: str, **hyperparameters: object) -> dict[str, Any]:
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


def ended(sagemaker: Client, name: str, timeout_s: float = 180) -> dict[str, Any]:
    """DescribeTrainingJob once the job has ended."""

    def record_at_the_end() -> dict[str, Any] | None:
        record: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        return record if record["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return until(record_at_the_end, timeout_s)


def put_folder(s3: Client, folder: Path, prefix: str) -> None:
    for path in sorted(part for part in folder.rglob("*") if part.is_file()):
        s3.upload_file(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
