"""A launcher's context whose clients are botocore's own with scripted answers: requests and answers are checked by its models."""

import argparse
from pathlib import Path

from botocore.stub import Stubber

from launch.aws import aws_location, client
from launch.context import LaunchContext
from launch.recipe import Recipe
from launch.requests_training import Target
from launch.state import State

NAMES = ("train", "serve", "serve-gpu", "serve-mms")
URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/slipway-{}@sha256:" + "a" * 64
OPTIONS = {
    "no_wait": False,
    "again": False,
    "job": "",
    "metrics": False,
    "over_budget": False,
    "endpoint": False,
    "target": "",
    "model": "",
    "update": False,
    "best": False,
    "hyperparameters": None,
    "delete": False,
    "url": False,
    "own": False,
    "search": "",
    "checkpoints": "",
    "yes": False,
    "data": False,
    "json": False,
    "dry_run": False,
    "poll": 0.0,
}

JOB = "demo-261121-181500"
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/" + JOB


def target(region: str = "eu-west-1") -> Target:
    return Target(aws_location(region, "123456789012"), {name: URI.format(name) for name in NAMES})


class ScriptedAws:
    """A context, the answers that its clients will give in this order, and what was printed."""

    def __init__(self, recipe: Recipe, folder: Path, **options: object):
        self.printed: list[str] = []
        self.stubs: dict[str, Stubber] = {}
        self.context = LaunchContext(
            recipe,
            target(),
            State(folder / "state.json", recipe.name),
            folder,
            argparse.Namespace(**{**OPTIONS, **options}),
            False,
            self.printed.append,
            0.0,
            "261121-181500",
        )

    def stub(self, service: str) -> Stubber:
        if service not in self.stubs:
            self.context.clients[service] = client(service, "eu-west-1")
            self.stubs[service] = Stubber(self.context.clients[service])
            self.stubs[service].activate()
        return self.stubs[service]

    def answer(
        self, service: str, method: str, answer: dict | None = None, request: dict | None = None
    ) -> None:
        self.stub(service).add_response(method, answer or {}, request)

    def record(self, operation: str, requests: list[dict]) -> None:
        """Append each request of that operation of SageMaker's to a list."""
        self.stub("sagemaker")
        self.context.clients["sagemaker"].meta.events.register(
            f"before-parameter-build.sagemaker.{operation}",
            lambda params, **_: requests.append(dict(params)),
        )

    def refuse(self, service: str, method: str, code: str, message: str = "") -> None:
        self.stub(service).add_client_error(method, code, message)

    def logged(self, *lines: str, stream: str = "job/algo-1") -> None:
        """What the log says next; none: there is no log yet."""
        if not lines:
            self.refuse(
                "logs",
                "describe_log_streams",
                "ResourceNotFoundException",
                "The specified log group does not exist.",
            )
            return
        self.answer("logs", "describe_log_streams", {"logStreams": [{"logStreamName": stream}]})
        self.answer(
            "logs",
            "get_log_events",
            {
                "events": [{"timestamp": 1, "message": line} for line in lines],
                "nextForwardToken": lines[-1],
            },
        )
        self.answer("logs", "get_log_events", {"events": [], "nextForwardToken": lines[-1]})

    def finished(self) -> str:
        """All that was printed; AssertionError where an answer was never asked for."""
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()
        return "\n".join(self.printed)


def training(status: str, second: str = "", **more: object) -> dict:
    needed = {
        "TrainingJobName": JOB,
        "TrainingJobArn": ARN,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "StoppingCondition": {},
        "CreationTime": 0,
    }
    return {**needed, "TrainingJobStatus": status, "SecondaryStatus": second or status, **more}
