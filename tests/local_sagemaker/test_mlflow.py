"""MlflowConfig of a training job: the variables that its containers get, or one sentence."""

from types import SimpleNamespace

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.jobs import mlflow

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/mine"
CONFIG = {
    "MlflowResourceArn": ARN,
    "MlflowExperimentName": "yoga",
    "MlflowRunName": "first",
}
DOCKER = SimpleNamespace(gateway=lambda: "172.17.0.1")
PROCESS = SimpleNamespace(gateway=lambda: None)


def test_without_a_server_it_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.check({})
    with pytest.raises(ApiError, match="start local SageMaker with MLFLOW_TRACKING_URI="):
        mlflow.check({"MlflowConfig": CONFIG})


def test_a_job_gets_the_server_and_its_names(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    mlflow.check({"MlflowConfig": CONFIG})
    names = {"MLFLOW_EXPERIMENT_NAME": "yoga", "MLFLOW_RUN_NAME": "first"}
    assert mlflow.environment({"MlflowConfig": CONFIG}, DOCKER) == {
        "MLFLOW_TRACKING_URI": "http://172.17.0.1:5000",
        **names,
    }
    assert mlflow.environment({"MlflowConfig": {"MlflowResourceArn": ARN}}, PROCESS) == {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"
    }


def test_a_job_without_it_is_not_recorded(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert mlflow.environment({}, DOCKER) == {}
    assert mlflow.environment({}, PROCESS) == {"MLFLOW_TRACKING_URI": ""}
