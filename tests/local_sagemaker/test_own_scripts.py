"""Scripts of a user's own without a container engine: refused in a sentence, never replaced."""

import pytest

from local_sagemaker import folders
from local_sagemaker.contract import ApiError
from local_sagemaker.jobs import training
from local_sagemaker.platform import Platform
from local_sagemaker.registry import models
from local_sagemaker.tuning.tuning_checks import check
from runtime.container_engine import RunSpec
from runtime.errors import RunError
from tests.support.sagemakers import ROLE, SERVE_IMAGE, training_request


@pytest.fixture
def platform(tmp_path):
    folders.allow([tmp_path])
    (tmp_path / "model.tar.gz").write_bytes(b"an archive")
    return Platform(tmp_path / "state", "process")


def test_a_training_and_a_tuning_job_with_a_script(platform):
    script = {"sagemaker_program": "mine.py"}
    request = training_request("mine")
    with pytest.raises(ApiError, match="sagemaker_program.* runs in the training image"):
        training.check(platform, {**request, "HyperParameters": script})
    metric = {"Type": "Maximize", "MetricName": "validation:accuracy"}
    ranges = [{"Name": "lr", "MinValue": "0.1", "MaxValue": "1"}]
    tuning = {
        "HyperParameterTuningJobName": "mine",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": metric,
            "ParameterRanges": {"ContinuousParameterRanges": ranges},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1},
        },
        "TrainingJobDefinition": {**request, "StaticHyperParameters": script},
    }
    with pytest.raises(ApiError, match="sagemaker_program.* runs in the training image"):
        check(platform, tuning)


def test_a_model_with_code(platform, tmp_path):
    container = {
        "Image": SERVE_IMAGE,
        "ModelDataUrl": f"file://{tmp_path}/model.tar.gz",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    request = {"ModelName": "mine", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    with pytest.raises(ApiError, match="SAGEMAKER_PROGRAM.* runs in a serving image"):
        models.create_model(platform, request, "eu-west-1")
    container |= {"Environment": {}, "Image": "1.dkr/slipway-serve-mms-torch:latest"}
    with pytest.raises(ApiError, match="only the project's own images"):
        models.create_model(platform, request, "eu-west-1")


def test_a_processing_job_with_a_script(platform, tmp_path):
    for image, entrypoint in (("python:3.11", ()), (SERVE_IMAGE, ("python3", "mine.py"))):
        spec = RunSpec(image, "processing", tmp_path, entrypoint=entrypoint)
        with pytest.raises(RunError):
            platform.container_engine.start(spec, None)
