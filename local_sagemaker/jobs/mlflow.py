"""MlflowConfig of a training job: its ARN stands for the server of MLFLOW_TRACKING_URI here.

SageMaker hands the server's ARN to the training as MLFLOW_TRACKING_URI. What it sets beside that
for the names is not documented; here MLFLOW_EXPERIMENT_NAME and MLFLOW_RUN_NAME are set, which
slipway-train reads. MlflowDetails is not answered.
"""

import os

from local_sagemaker.contract import invalid
from local_sagemaker.record import Record
from runtime.container_engine import ContainerEngine
from runtime.mlflow_variables import URI, reachable

NAMES = {"MlflowExperimentName": "MLFLOW_EXPERIMENT_NAME", "MlflowRunName": "MLFLOW_RUN_NAME"}


def check(request: Record) -> None:
    """ApiError where a job is to be recorded, and no server is known."""
    if request.get("MlflowConfig") and not os.environ.get(URI):
        raise invalid(
            "local SageMaker: MlflowConfig is recorded on an MLflow server of yours; start local "
            "SageMaker with MLFLOW_TRACKING_URI=http://127.0.0.1:5000, or wherever it runs"
        )


def environment(job: Record, engine: ContainerEngine) -> dict[str, str]:
    """The variables of a job's containers."""
    config = job.get("MlflowConfig")
    if not config or not os.environ.get(URI):
        # A process would have this server's own, though its job asks for no record.
        return {URI: ""} if engine.gateway() is None and os.environ.get(URI) else {}
    given = {URI: reachable(os.environ[URI], engine.gateway)}
    for field, name in NAMES.items():
        if config.get(field):
            given[name] = config[field]
    return given
