"""Requests for local SageMaker drawn at random from botocore's shapes, and the app to ask them."""

import json
import random
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_sagemaker import contract
from local_sagemaker.access.access import Access
from local_sagemaker.platform import Platform
from local_sagemaker.registry import models
from local_sagemaker.server import create_app
from tests.support.jobs import REPOSITORY
from tests.support.sagemakers import signed, training_request

NOWHERE = f"file://{REPOSITORY}/nowhere"  # below the only root of this process
MODEL = "arn:aws:sagemaker:eu-west-1:123456789012:model/a"
WRONG: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e300, -1e300, 10**30, 10**400, float("nan"), float("inf")),
    # No file can have a name with a lone surrogate or a zero byte.
    *("", "²", "\ud800", "a\0b", "../..", "x" * 5000, "file:///", "s3://", "{}", "\n"),
    *([], {}, [[]], [None], {"a": None}, [{}], {"": ""}, {"S3Uri": 1}),
]
RIGHT: dict[str, list[Any]] = {
    "integer": [1, 2, 10],
    "long": [1, 2],
    "float": [0.5],
    "double": [0.5],
    "boolean": [True, False],
    "timestamp": [0, 1_700_000_000.5],
    "string": [
        *("a", "a-1", "1", "0.5", "s3://bucket/key", NOWHERE, "/opt/ml/x", "(.*)"),
        "arn:aws:iam::123456789012:role/SlipwayRole",
        MODEL,
        "subnet-1",
    ],
}


def drawn(shape: Shape, draw: random.Random, wrong: float, depth: int = 0) -> Any:
    """A value of a shape, or with a probability one that is none."""
    if draw.random() < wrong:
        return draw.choice(WRONG)
    if isinstance(shape, StructureShape):
        members = list(shape.members.items())
        # A union takes exactly one of its members.
        if getattr(shape, "is_tagged_union", False):
            members = [draw.choice(members)]
        return {
            name: drawn(member, draw, wrong, depth + 1)
            for name, member in members
            # The deeper, the rarer: shapes may hold themselves.
            if name in shape.required_members or draw.random() < 0.3 / (1 + depth)
        }
    if isinstance(shape, ListShape):
        return [drawn(shape.member, draw, wrong, depth + 1) for _ in range(draw.choice((1, 1, 2)))]
    if isinstance(shape, MapShape):
        key = drawn(shape.key, draw, wrong, depth + 1)
        return {str(key): drawn(shape.value, draw, wrong, depth + 1)}
    right: list[Any] = shape.metadata.get("enum") or RIGHT[shape.type_name]
    # A value of the right type may still break a pattern or a bound.
    fitting = [value for value in right if not list(contract._faults(shape, value, ""))]
    return draw.choice(fitting or right)


def change(shape: Shape | None, value: Any, draw: random.Random) -> None:
    """One change at a random place of a request: a member less, another value, or a member more."""
    while True:
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        below = [key for key in keys if isinstance(value[key], dict | list) and value[key]]
        # Not always at the bottom: whole branches are replaced, too.
        if not below or draw.random() < 0.3:
            break
        key = draw.choice(below)
        value = value[key]
        shape = _member(shape, key)
    # An earlier change may have put a list where the shape has a structure.
    whole = isinstance(shape, StructureShape) and isinstance(value, dict)
    if whole and isinstance(shape, StructureShape) and (not keys or draw.random() < 0.4):
        name = draw.choice(list(shape.members))
        value[name] = drawn(shape.members[name], draw, 0.1)
        return
    if not keys:
        return
    key = draw.choice(keys)
    member = _member(shape, key)
    if draw.random() < 0.3:
        del value[key]
    elif member is not None and draw.random() < 0.5:
        value[key] = drawn(member, draw, 0.0)
    else:
        value[key] = draw.choice(WRONG)


def _member(shape: Shape | None, key: Any) -> Shape | None:
    if isinstance(shape, StructureShape):
        return shape.members.get(key)
    if isinstance(shape, ListShape):
        return shape.member
    if isinstance(shape, MapShape):
        return shape.value
    return None


def input_shape(name: str) -> StructureShape:
    """The shape of an operation's request."""
    shape = contract.operation(name).input_shape
    assert shape is not None
    return shape


def _source() -> dict[str, Any]:
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": NOWHERE}}


TRAINING: dict[str, Any] = {
    **training_request("t-NUMBER"),
    "InputDataConfig": [{"ChannelName": "train", "DataSource": _source()}],
    "OutputDataConfig": {"S3OutputPath": NOWHERE},
    "CheckpointConfig": {"S3Uri": NOWHERE},
    "DebugHookConfig": {"S3OutputPath": NOWHERE},
    "DebugRuleConfigurations": [
        {
            "RuleConfigurationName": "rule",
            "RuleEvaluatorImage": "image",
            "RuleParameters": {"rule_to_invoke": "VanishingGradient"},
        }
    ],
    "Tags": [{"Key": "a", "Value": "b"}],
}
TRAINING["AlgorithmSpecification"]["TrainingImage"] = "nowhere"
DEFINITION = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig")
RANGE = {"Name": "lr", "MinValue": "0.1", "MaxValue": "1"}
SEARCH = {
    "Strategy": "Random",
    "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:accuracy"},
    "ParameterRanges": {"ContinuousParameterRanges": [RANGE]},
    "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
}
VARIANT = {
    "VariantName": "all",
    "ModelName": "a",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 1,
}
# Requests that are taken, and whose work then fails early: no image and no folder is there.
WHOLE: dict[str, dict[str, Any]] = {
    "CreateTrainingJob": TRAINING,
    "CreateHyperParameterTuningJob": {
        "HyperParameterTuningJobName": "h-NUMBER",
        "HyperParameterTuningJobConfig": SEARCH,
        "TrainingJobDefinition": {
            **{name: TRAINING[name] for name in (*DEFINITION, "ResourceConfig")},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        },
    },
    "CreateEndpointConfig": {
        "EndpointConfigName": "c-NUMBER",
        "ProductionVariants": [VARIANT],
        "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://bucket/key"}},
    },
    "CreateEndpoint": {"EndpointName": "e-NUMBER", "EndpointConfigName": "a"},
    "CreateTransformJob": {
        "TransformJobName": "b-NUMBER",
        "ModelName": "a",
        "TransformInput": {"DataSource": _source()},
        "TransformOutput": {"S3OutputPath": NOWHERE},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    },
}


class Here:
    """The app in this process."""

    url = "http://localhost"

    def __init__(self, folder):
        keys = Access()
        self.platform = Platform(folder, "process")
        # Flask's own client opens no socket: thousands of requests take seconds.
        self.app = create_app(self.platform, keys).test_client()
        exports = keys.user_environment(self.url)
        self.key = (exports["AWS_ACCESS_KEY_ID"], exports["AWS_SECRET_ACCESS_KEY"])

    def fill(self) -> None:
        """A model whose image is nowhere, and a configuration of it."""
        records: dict[str, dict[str, Any]] = {
            models.MODEL: {"ModelArn": MODEL, "PrimaryContainer": {"Image": "nowhere"}},
            models.CONFIG: {"EndpointConfigArn": "arn", "ProductionVariants": [VARIANT]},
        }
        for kind, record in records.items():
            # A request before may have deleted it.
            if self.platform.store.find(kind, "a") is None:
                named = {**record, "ModelName": "a", "EndpointConfigName": "a"}
                whole = {**named, "Region": "eu-west-1"}
                self.platform.store.add(kind, "a", whole, contract.invalid("taken"))

    def send(
        self, target: str, body: bytes, path: str = "/", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        given = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", **headers}
        given = signed(self.url, "POST", path, body, given, self.key)
        answer = self.app.post(path, data=body, headers=given)
        content = json.loads(answer.data)
        # A refusal is right, a fault of the server never is.
        assert answer.status_code < 500, (target, body[:2000], content)
        return answer.status_code, content
