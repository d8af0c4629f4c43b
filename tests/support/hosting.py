"""Models and endpoints on local SageMaker, for the tests of hosting."""

import json
from typing import Any

from tests.support.sagemakers import Client, until


def variant(name: str = "all", model: str = "good", **more: object) -> dict[str, Any]:
    return {
        "VariantName": name,
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
        **more,
    }


def settled(sagemaker: Client, name: str) -> dict[str, Any]:
    until(
        lambda: (
            sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
            not in ("Creating", "Updating", "RollingBack")
        )
    )
    record: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    return record


def label(answer: dict[str, Any]) -> str:
    found: str = json.loads(answer["Body"].read())["predictions"][0]["label"]
    return found


def blue_green(kind: str, wait_s: int = 0, **more: Any) -> dict[str, Any]:
    """DeploymentConfig with a BlueGreenUpdatePolicy; more: of the policy or its routing."""
    routing: dict[str, Any] = {"Type": kind, "WaitIntervalInSeconds": wait_s}
    for name in ("CanarySize", "LinearStepSize"):
        if name in more:
            routing[name] = more.pop(name)
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, **more}}


def rolling(wait_s: int = 0, **more: Any) -> dict[str, Any]:
    """DeploymentConfig with a RollingUpdatePolicy."""
    return {"RollingUpdatePolicy": {"WaitIntervalInSeconds": wait_s, **more}}
