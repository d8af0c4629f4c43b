"""Requests for tuning jobs that SageMaker refuses at their creation."""

import copy
import json
from typing import Any

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.tuning.tuning_checks import check
from local_sagemaker.tuning.tuning_run import KIND, results_file
from tests.support.sagemakers import ROLE, TRAIN_IMAGE

pytestmark = pytest.mark.slow


def source(uri: str) -> dict:
    return {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}


CONTINUOUS = {"Name": "lr", "MinValue": "0.01", "MaxValue": "0.1", "ScalingType": "Auto"}
REQUEST: dict[str, Any] = {
    "HyperParameterTuningJobName": "child",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
        "ParameterRanges": {"ContinuousParameterRanges": [CONTINUOUS]},
    },
    "TrainingJobDefinition": {
        "StaticHyperParameters": {"epochs": "1"},
        "AlgorithmSpecification": {
            "TrainingImage": TRAIN_IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "accuracy", "Regex": "accuracy=(.*)"}],
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source("s3://b/train/")}],
        "RoleArn": ROLE,
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    },
}
WARM = {
    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
    "WarmStartType": "IdenticalDataAndAlgorithm",
}


@pytest.fixture
def platform(tmp_path):
    """A platform on which `parent`, the request itself, has completed."""
    made = Platform(tmp_path, "process")
    parent = {**REQUEST, "HyperParameterTuningJobName": "parent"}
    ended = {**parent, "HyperParameterTuningJobStatus": "Completed"}
    made.store.add(KIND, "parent", ended, ApiError("", ""))
    path = results_file(made, "parent")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({}))
    return made


def ranges(**kinds: list[dict]) -> dict:
    return {f"{kind}ParameterRanges": entries for kind, entries in kinds.items()}


def test_the_request_itself_is_fine(platform):
    check(platform, REQUEST)
    check(platform, {**REQUEST, "WarmStartConfig": WARM})


@pytest.mark.parametrize(
    "given, expected",
    [
        (ranges(Continuous=[{**CONTINUOUS, "MaxValue": "0.01"}]), "make it static"),
        (
            ranges(Continuous=[{**CONTINUOUS, "MinValue": "0", "ScalingType": "Logarithmic"}]),
            "Logarithmic needs ends above 0",
        ),
        (ranges(Categorical=[{"Name": "lr", "Values": ["1", "1.0"]}]), "stands there twice"),
        (ranges(Integer=[{**CONTINUOUS, "MaxValue": "3"}]), "needs whole numbers"),
    ],
)
def test_ranges_that_cannot_be_searched(platform, given, expected):
    request = copy.deepcopy(REQUEST)
    request["HyperParameterTuningJobConfig"]["ParameterRanges"] = given
    with pytest.raises(ApiError, match=expected):
        check(platform, request)


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"StaticHyperParameters": {}}, "epochs is in one of the two only"),
        (
            {"InputDataConfig": [{"ChannelName": "train", "DataSource": source("s3://b/other/")}]},
            "its data is train=s3://b/other, that of its parent 'parent' train=s3://b/train",
        ),
        (
            {
                "AlgorithmSpecification": {
                    **REQUEST["TrainingJobDefinition"]["AlgorithmSpecification"],
                    "TrainingImage": "another",
                }
            },
            "its image is another, that of its parent",
        ),
    ],
)
def test_parents_that_are_too_different(platform, change, expected):
    request = {**copy.deepcopy(REQUEST), "WarmStartConfig": WARM}
    request["TrainingJobDefinition"].update(change)
    with pytest.raises(ApiError, match=expected):
        check(platform, request)
