"""Operations on a pipeline's executions: describe, list, stop, retry, and what a restart leaves."""

import time

from local_sagemaker.contract import NOT_FOUND, ApiError, invalid
from local_sagemaker.job_ends import SERVER_ENDED
from local_sagemaker.pipelines.pipeline_run import KIND, RUNNING, STATUS, PipelineRun
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import cut, page

ARN = "PipelineExecutionArn"
STOPPING = "Stopping"
STOP = "stopped by its user"
ENDED_STEPS = ("Succeeded", "Failed", "Stopped")
CHANGED = (
    *("PipelineExecutionDisplayName", "PipelineExecutionDescription"),
    "ParallelismConfiguration",
)


def executions_of(platform: Platform, pipeline: Record) -> list[Record]:
    """The records of a pipeline's executions."""
    wanted = pipeline["PipelineArn"]
    return [one for one in platform.store.all(KIND) if one["PipelineArn"] == wanted]


def found(platform: Platform, request: Record) -> Record:
    """An execution's record. ApiError when there is none."""
    record = platform.store.find(KIND, request.get(ARN, "").rpartition("/")[2] or "-")
    if record is None or record[ARN] != request[ARN]:
        raise ApiError(
            NOT_FOUND, f"Pipeline execution with ARN {request.get(ARN, '')} does not exist."
        )
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    # The API reference: RoleArn is there only for pipelines that AWS manages.
    return found(platform, request) | {"RoleArn": None}


def definition(platform: Platform, request: Record, region: str) -> Record:
    return found(platform, request)


def parameters(platform: Platform, request: Record, region: str) -> Record:
    """ListPipelineParametersForExecution: all values, as texts."""
    values = found(platform, request)["Parameters"]
    listed = [{"Name": name, "Value": _text(value)} for name, value in values.items()]
    shown, token = cut(listed, request)
    return {"PipelineParameters": shown, "NextToken": token}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def steps(platform: Platform, request: Record, region: str) -> Record:
    """ListPipelineExecutionSteps: those that have begun, the latest first."""
    known = list(found(platform, request)["Steps"].values())
    if request.get("SortOrder", "Descending") == "Descending":
        known.reverse()
    shown, token = cut(known, request)
    return {"PipelineExecutionSteps": shown, "NextToken": token}


def listed(platform: Platform, request: Record, pipeline: Record) -> Record:
    """ListPipelineExecutions: those of a pipeline."""
    records = [
        {
            **one,
            "StartTime": one["CreationTime"],
            "PipelineExecutionFailureReason": one.get("FailureReason"),
        }
        for one in executions_of(platform, pipeline)
    ]
    wanted = {**request, "CreationTimeAfter": request.get("CreatedAfter")}
    wanted["CreationTimeBefore"] = request.get("CreatedBefore")
    shown, token = page(records, wanted, ARN, None)
    return {"PipelineExecutionSummaries": shown, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request)
    runner = platform.runner(KIND, record["Id"])
    if record[STATUS] not in (RUNNING, STOPPING) or runner is None:
        raise ApiError(
            "ConflictException",
            f"Only an execution that is {RUNNING} can be stopped; this one is {record[STATUS]}",
        )
    platform.store.change(KIND, record["Id"], **{STATUS: STOPPING})
    runner.halt(STOP)
    return record


def retry(platform: Platform, request: Record, region: str) -> Record:
    """RetryPipelineExecution: the steps that have not succeeded run again."""
    record = found(platform, request)
    if record[STATUS] not in ("Failed", "Stopped"):
        raise ApiError(
            "ConflictException",
            f"Only an execution that has Failed or Stopped can be retried; it is {record[STATUS]}",
        )
    if request.get("ParallelismConfiguration"):
        record["ParallelismConfiguration"] = request["ParallelismConfiguration"]
    record["Steps"] = {
        name: step for name, step in record["Steps"].items() if step["StepStatus"] == "Succeeded"
    }
    record[STATUS] = RUNNING
    platform.store.change(KIND, record["Id"], **{**record, "FailureReason": None})
    platform.start(KIND, record["Id"], PipelineRun(platform, record))
    return record


def update(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request)
    changed = {field: request[field] for field in CHANGED if field in request}
    if not changed:
        raise invalid("UpdatePipelineExecution needs something to change")
    platform.store.change(KIND, record["Id"], **changed)
    return record


def recover(platform: Platform) -> None:
    """After a restart: executions that ran have failed, with the steps that ran."""
    for record in platform.store.all(KIND):
        if record[STATUS] not in (RUNNING, STOPPING):
            continue
        for step in record["Steps"].values():
            if step["StepStatus"] not in ENDED_STEPS:
                step |= {
                    "StepStatus": "Failed",
                    "EndTime": time.time(),
                    "FailureReason": SERVER_ENDED,
                }
        changed = {STATUS: "Failed", "FailureReason": SERVER_ENDED, "Steps": record["Steps"]}
        platform.store.change(KIND, record["Id"], **changed)


OPERATIONS = {
    "DescribePipelineExecution": describe,
    "DescribePipelineDefinitionForExecution": definition,
    "ListPipelineParametersForExecution": parameters,
    "ListPipelineExecutionSteps": steps,
    "StopPipelineExecution": stop,
    "RetryPipelineExecution": retry,
    "UpdatePipelineExecution": update,
}
