"""The AWS CLI, unchanged, on local SageMaker: a training and an endpoint from hand-written JSON."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_sagemaker.aws.cloud import environment_here
from tests.support.hosting import settled
from tests.support.jobs import COLOURS, SMALL, draw_channel
from tests.support.sagemakers import BUCKET, Client, ended, local_sagemaker, moto

pytestmark = pytest.mark.slow
# By major version: the first one that reads AWS_ENDPOINT_URL_SAGEMAKER. Older ones, such as
# Debian's, are given --endpoint-url.
OLDEST = {1: (1, 29), 2: (2, 13)}
TRAINING = """{
  "TrainingJobName": "by-hand",
  "RoleArn": "arn:aws:iam::123456789012:role/SlipwayRole",
  "AlgorithmSpecification": {
    "TrainingImage": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-train:latest",
    "TrainingInputMode": "File",
    "MetricDefinitions": [{"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}]
  },
  "HyperParameters": {"epochs": "4"},
  "InputDataConfig": [
    {
      "ChannelName": "train",
      "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://photos/train/"}}
    }
  ],
  "OutputDataConfig": {"S3OutputPath": "s3://photos/out"},
  "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
  "StoppingCondition": {"MaxRuntimeInSeconds": 600}
}"""
MODEL = """{
  "ModelName": "by-hand",
  "ExecutionRoleArn": "arn:aws:iam::123456789012:role/SlipwayRole",
  "PrimaryContainer": {
    "Image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-serve:latest",
    "ModelDataUrl": "s3://photos/out/by-hand/output/model.tar.gz"
  }
}"""
CONFIG = """{
  "EndpointConfigName": "by-hand",
  "ProductionVariants": [
    {
      "VariantName": "all",
      "ModelName": "by-hand",
      "InstanceType": "ml.m5.large",
      "InitialInstanceCount": 1
    }
  ]
}"""


def find_cli() -> tuple[str, bool]:
    """The AWS CLI's program, and whether it reads AWS_ENDPOINT_URL_SAGEMAKER.

    Without the program the test is skipped.
    """
    path = shutil.which("aws", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    found = None
    if path:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        found = re.match(r"aws-cli/(\d+)\.(\d+)", shown.stdout)
    if path is None or found is None:
        pytest.skip("the AWS CLI is not installed: it is not tested (apt-get install awscli)")
    version = int(found[1]), int(found[2])
    return path, version >= OLDEST.get(version[0], (0, 0))


@dataclass
class Cli:
    """The AWS CLI in a folder. urls: SageMaker's and the others', where it must be given them.

    client: boto3's, to wait with: the CLI needs a second to start.
    """

    program: str
    folder: Path
    environment: dict[str, str]
    urls: tuple[str, str] | None
    client: Client

    def __call__(self, *words: str, fine: bool = True) -> str:
        """Run a command; what it prints."""
        options = []
        if self.urls:
            sagemaker, others = self.urls
            url = sagemaker if words[0].startswith("sagemaker") else others
            options = ["--endpoint-url", url]
        done = subprocess.run(
            [self.program, *options, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode == 0) == fine, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def cli(tmp_path_factory):
    """Runs a command of the CLI's in a folder of photos and JSON files; its output."""
    program, reads_environment = find_cli()
    folder = tmp_path_factory.mktemp("cli")
    draw_channel(folder / "photos", 10)
    request = json.loads(TRAINING)
    for name, content in {
        "training": {**request, "HyperParameters": {**SMALL, **request["HyperParameters"]}},
        "model": json.loads(MODEL),
        "config": json.loads(CONFIG),
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2))
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        environment = environment_here(
            AWS_ENDPOINT_URL=url,
            AWS_PAGER="",
            **cloud.exports,
        )

        urls = None if reads_environment else (cloud.url, url)
        yield Cli(program, folder, environment, urls, cloud.client("sagemaker"))


@pytest.mark.verify
@pytest.mark.training
def test_a_training_and_an_endpoint_by_hand(cli):
    cli("s3", "cp", "--recursive", "--only-show-errors", "photos", f"s3://{BUCKET}/train/")
    made = json.loads(
        cli("sagemaker", "create-training-job", "--cli-input-json", "file://training.json")
    )
    assert made["TrainingJobArn"].endswith(":training-job/by-hand")
    asked = ("sagemaker", "describe-training-job", "--training-job-name", "by-hand")
    ended(cli.client, "by-hand")
    job = json.loads(cli(*asked))
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["FinalMetricDataList"][0]["MetricName"] == "validation:accuracy"
    cli("sagemaker", "create-model", "--cli-input-json", "file://model.json")
    cli("sagemaker", "create-endpoint-config", "--cli-input-json", "file://config.json")
    cli(
        "sagemaker",
        "create-endpoint",
        "--endpoint-name",
        "by-hand",
        "--endpoint-config-name",
        "by-hand",
    )
    described = (
        "sagemaker",
        "describe-endpoint",
        "--endpoint-name",
        "by-hand",
        "--query",
        "EndpointStatus",
        "--output",
        "text",
    )
    settled(cli.client, "by-hand")
    assert cli(*described).strip() == "InService"
    [photo] = (cli.folder / "photos/red").glob("red 0.jpg")
    cli(
        "sagemaker-runtime",
        "invoke-endpoint",
        "--endpoint-name",
        "by-hand",
        "--body",
        f"fileb://{photo}",
        "--content-type",
        "image/jpeg",
        "--accept",
        "application/json",
        "answer.json",
    )
    [answer] = json.loads((cli.folder / "answer.json").read_text())["predictions"]
    assert answer["label"] in COLOURS
    assert len(answer["top"]) == 3
    assert [
        entry["EndpointName"]
        for entry in json.loads(cli("sagemaker", "list-endpoints"))["Endpoints"]
    ] == ["by-hand"]
    for kind in ("endpoint", "endpoint-config", "model"):
        cli("sagemaker", f"delete-{kind}", f"--{kind}-name", "by-hand")


def test_the_cli_shows_why_a_request_is_refused(cli):
    printed = cli(
        "sagemaker", "describe-training-job", "--training-job-name", "nothing", fine=False
    )
    assert "(ValidationException)" in printed
    assert "Requested resource not found." in printed
