"""A launcher's context with botocore's own clients and scripted answers.

botocore's models check the requests and the answers.
"""

import argparse
import io
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from botocore.response import StreamingBody
from botocore.stub import Stubber

from launch.aws import aws_location, client
from launch.context import LaunchContext
from launch.options import DEFAULTS
from launch.recipe import Recipe, read_recipe
from launch.requests_training import Target
from launch.state import State

NAMES = ("train", "serve", "serve-gpu", "serve-mms", "serve-mms-torch")
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-{}@sha256:" + "a" * 64
# Every option of every command, with its default.
OPTIONS = {
    **DEFAULTS,
    "update": False,
    "package": "",
    "approve": False,
    "version": 0,
    "reject": False,
    "why": "",
    "delete": False,
    "url": False,
    "own": False,
    "search": "",
    "checkpoints": "",
    "all": False,
    "yes": False,
    "data": False,
    "json": False,
    "dry_run": False,
    "poll": 0.0,
    "photos": "",
}
STAMP = "261121-1815-k3f9"
ATTEMPT = "0123456789abcdef"
JOB = f"demo-{STAMP}"
BUCKETS = ("photos", "b", "sagemaker-eu-west-1-123456789012")
CREATED = datetime(2026, 11, 21, 18, 15, tzinfo=UTC)  # as boto3 gives it
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/" + JOB
PROBABILITIES = {"blue": 0.9, "green": 0.06, "red": 0.04}


def target(region: str = "eu-west-1") -> Target:
    """A region and account, with all images pushed."""
    images = {name: URI.format(name) for name in NAMES}
    return Target(aws_location(region, "123456789012"), images)


def recipe(**settings: object) -> Recipe:
    """A recipe with these settings of SageMaker, read as from its file."""
    document = {
        "name": "three colours",
        "hyperparameters": {"model": "resnet18", "head": [64, 32], "debug": False},
        "sagemaker": settings,
    }
    # By a file, so that the reader's own checks apply.
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(yaml.safe_dump(document))
        return read_recipe(file)


class ScriptedAws:
    """A context, the answers that its clients will give in this order, and the printed lines."""

    def __init__(self, recipe: Recipe, folder: Path, **options: object):
        self.printed: list[str] = []
        self.stubs: dict[str, Stubber] = {}
        self.context = LaunchContext(
            recipe=recipe,
            target=target(),
            state=State(folder / "state.json", recipe.name),
            out=folder,
            options=argparse.Namespace(**{**OPTIONS, **options}),
            dry=False,
            print=self.printed.append,
            # Tests do not wait between questions.
            poll_s=0.0,
            stamp=STAMP,
            attempt=ATTEMPT,
            # Tests of owners empty it; the others' buckets are theirs.
            own_buckets=set(BUCKETS),
        )
        self.find_nothing_by_tag()

    def find_nothing_by_tag(self) -> None:
        """Until a test scripts the tagging service, it knows of nothing."""
        tagging = client("resourcegroupstaggingapi", "eu-west-1")
        nothing: dict[str, Any] = {"ResourceTagMappingList": []}
        answer = (SimpleNamespace(status_code=200), nothing)
        # before-call: botocore takes what a handler returns for the answer, and sends nothing.
        tagging.meta.events.register("before-call", lambda **_: answer)
        self.context.clients["resourcegroupstaggingapi"] = tagging

    def no_endpoint(self) -> None:
        """The next answer: no endpoint has the recipe's name."""
        message = "Could not find endpoint"
        self.refuse("sagemaker", "describe_endpoint", "ValidationException", message)

    def no_versions(self) -> None:
        """The next answer: the model registry has no group of the recipe's."""
        message = "ModelPackageGroup does not exist"
        self.refuse("sagemaker", "list_model_packages", "ValidationException", message)

    def of_recipe(self, name: str = "") -> None:
        """The next answer: a thing's tag says that this recipe made it, or the named one."""
        tag = {"Key": "slipway:recipe", "Value": name or self.context.recipe.name}
        self.answer("sagemaker", "list_tags", {"Tags": [tag]})

    def stub(self, service: str) -> Stubber:
        """The answers of one service; from now on no request of it leaves this machine."""
        if service not in self.stubs:
            # The client is botocore's own: the stub stands between it and the network.
            self.context.clients[service] = client(service, "eu-west-1")
            self.stubs[service] = Stubber(self.context.clients[service])
            self.stubs[service].activate()
        return self.stubs[service]

    def answer(
        self,
        service: str,
        method: str,
        answer: dict[str, Any] | None = None,
        request: dict[str, Any] | None = None,
    ) -> None:
        """The next answer. With `request`, a test fails where another one is sent."""
        self.stub(service).add_response(method, answer or {}, request)

    def record(self, operation: str, requests: list[dict[str, Any]]) -> None:
        """Append each request of that operation of SageMaker to a list."""
        # The service has no stub yet where a test only records.
        self.stub("sagemaker")
        self.context.clients["sagemaker"].meta.events.register(
            f"before-parameter-build.sagemaker.{operation}",
            lambda params, **_: requests.append(dict(params)),
        )

    def refuse(self, service: str, method: str, code: str, message: str = "") -> None:
        self.stub(service).add_client_error(method, code, message)

    def logged(self, *lines: str, stream: str = "job/algo-1") -> None:
        """The next lines of the log; without lines, the log does not exist yet."""
        if not lines:
            self.refuse(
                "logs",
                "describe_log_streams",
                "ResourceNotFoundException",
                "The specified log group does not exist.",
            )
            return
        # The same token twice: that is how CloudWatch says that no more lines are there.
        token = lines[-1]
        events = [{"timestamp": 1, "message": line} for line in lines]
        self.answer("logs", "describe_log_streams", {"logStreams": [{"logStreamName": stream}]})
        self.answer("logs", "get_log_events", {"events": events, "nextForwardToken": token})
        self.answer("logs", "get_log_events", {"events": [], "nextForwardToken": token})

    def finished(self) -> str:
        """All printed lines; AssertionError where a scripted answer was not used."""
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()
        return "\n".join(self.printed)


def training(status: str, second: str = "", **more: object) -> dict[str, Any]:
    """DescribeTrainingJob's answer. second: the secondary status."""
    needed = {
        "TrainingJobName": JOB,
        "TrainingJobArn": ARN,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "StoppingCondition": {},
        "CreationTime": CREATED,
    }
    return {**needed, "TrainingJobStatus": status, "SecondaryStatus": second or status, **more}


def streamed(content: bytes) -> StreamingBody:
    """The body of an answer of S3, or of an endpoint."""
    return StreamingBody(io.BytesIO(content), len(content))


def prediction(label: str = "blue") -> bytes:
    """An endpoint's JSON for one photo."""
    top = [{"label": name, "probability": value} for name, value in PROBABILITIES.items()]
    found = {"label": label, "probability": PROBABILITIES[label], "top": top}
    return json.dumps({"predictions": [found]}).encode()
