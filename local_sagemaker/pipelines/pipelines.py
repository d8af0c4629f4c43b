"""Operations on pipelines: create, update, describe, list, delete, and start of an execution."""

import secrets
import time

from local_sagemaker import objects, tags
from local_sagemaker.contract import NOT_FOUND, ApiError, invalid
from local_sagemaker.pipelines import pipeline_cache
from local_sagemaker.pipelines.pipeline_definition import parameters_of, read
from local_sagemaker.pipelines.pipeline_executions import executions_of, listed
from local_sagemaker.pipelines.pipeline_run import KIND as EXECUTION
from local_sagemaker.pipelines.pipeline_run import RUNNING, STATUS, PipelineRun
from local_sagemaker.pipelines.pipeline_steps import LETTERS
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page

KIND = "pipeline"
NAME = "PipelineName"
ID_LENGTH = 12
LONGEST = 200  # characters: records are files
UNSUPPORTED = ("PipelineVersionAliases",)
UNSUPPORTED_AT_START = (
    *("PipelineVersionId", "PipelineVersionAlias"),
    "MlflowExperimentName",
)
KEPT = ("PipelineDisplayName", "PipelineDescription", "RoleArn", "ParallelismConfiguration")


def create(platform: Platform, request: Record, region: str) -> Record:
    _refuse(request, UNSUPPORTED)
    name = request[NAME]
    if len(name) > LONGEST:
        raise invalid(f"local SageMaker: PipelineName has at most {LONGEST} characters here")
    text = _definition(request)
    pipeline_cache.check(read(text).steps)
    known = platform.store.find(KIND, name)
    if known and known["ClientRequestToken"] == request["ClientRequestToken"]:
        return known
    record = {
        "PipelineDisplayName": name,
        **request,
        "PipelineDefinition": text,
        "PipelineArn": arn(region, KIND, name),
        "Region": region,
        "PipelineStatus": "Active",
    }
    taken = invalid(
        "Pipeline names must be unique within an AWS account and region. Pipeline with name "
        f"({name}) already exists."
    )
    tags.add_tagged(platform, KIND, name, record, record["PipelineArn"], taken)
    return record


def _refuse(request: Record, parts: tuple[str, ...]) -> None:
    for part in parts:
        if request.get(part):
            raise invalid(f"local SageMaker: {part} of pipelines is not done here")


def _definition(request: Record) -> str:
    """The definition's text, in the request or in S3. ApiError where there is not exactly one."""
    text: str = request.get("PipelineDefinition", "")
    place = request.get("PipelineDefinitionS3Location")
    if bool(text) == bool(place):
        raise invalid(
            "Exactly one of PipelineDefinition and PipelineDefinitionS3Location must be specified"
        )
    if place is None:
        return text
    uri = f"s3://{place['Bucket']}/{place['ObjectKey']}"
    try:
        return objects.read(uri).decode()
    except (objects.ObjectError, UnicodeDecodeError) as error:
        raise invalid(f"The pipeline's definition cannot be read: {error}") from error


def found(platform: Platform, given: str, region: str) -> Record:
    """A pipeline's record, by name or ARN. ApiError when there is none."""
    record = platform.store.find(KIND, given)
    if record is not None:
        return record
    for one in platform.store.all(KIND):  # an ARN has small letters
        if one["PipelineArn"] == given:
            return one
    raise ApiError(NOT_FOUND, f"Pipeline '{given}' does not exist.")


def update(platform: Platform, request: Record, region: str) -> Record:
    _refuse(request, UNSUPPORTED)
    record = found(platform, request[NAME], region)
    changed = {field: request[field] for field in KEPT if field in request}
    if request.get("PipelineDefinition") or request.get("PipelineDefinitionS3Location"):
        changed["PipelineDefinition"] = _definition(request)
        pipeline_cache.check(read(changed["PipelineDefinition"]).steps)
    platform.store.change(KIND, record[NAME], **changed)
    return {"PipelineArn": record["PipelineArn"]}


def describe(platform: Platform, request: Record, region: str) -> Record:
    _refuse(request, UNSUPPORTED_AT_START)
    record = found(platform, request[NAME], region)
    runs = [run["CreationTime"] for run in executions_of(platform, record)]
    return record | {"LastRunTime": max(runs, default=None)}


def list_all(platform: Platform, request: Record, region: str) -> Record:
    wanted = {**request, "CreationTimeAfter": request.get("CreatedAfter")}
    wanted["CreationTimeBefore"] = request.get("CreatedBefore")
    prefix = request.get("PipelineNamePrefix", "")
    records = [one for one in platform.store.all(KIND) if one[NAME].startswith(prefix)]
    shown, token = page(records, wanted, NAME, None)
    for record in shown:
        runs = [run["CreationTime"] for run in executions_of(platform, record)]
        record["LastExecutionTime"] = max(runs, default=None)
    return {"PipelineSummaries": shown, "NextToken": token}


def list_executions(platform: Platform, request: Record, region: str) -> Record:
    return listed(platform, request, found(platform, request[NAME], region))


def delete(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request[NAME], region)
    if any(run[STATUS] in (RUNNING, "Stopping") for run in executions_of(platform, record)):
        raise ApiError(
            "ConflictException",
            f"The pipeline {record[NAME]} has an execution that runs; stop it first",
        )
    for run in executions_of(platform, record):
        platform.store.remove(EXECUTION, run["Id"])
    platform.store.remove(KIND, record[NAME])
    tags.forget(platform, record["PipelineArn"])
    return record


def start(platform: Platform, request: Record, region: str) -> Record:
    _refuse(request, UNSUPPORTED_AT_START)
    pipeline = found(platform, request[NAME], region)
    for run in executions_of(platform, pipeline):
        if run["ClientRequestToken"] == request["ClientRequestToken"]:
            return run
    definition = read(pipeline["PipelineDefinition"])
    number = "".join(secrets.choice(LETTERS) for _ in range(ID_LENGTH))
    parallel = request.get("ParallelismConfiguration") or pipeline.get("ParallelismConfiguration")
    record = {
        "PipelineExecutionDisplayName": f"execution-{int(time.time() * 1000)}",
        **request,
        NAME: pipeline[NAME],
        "Id": number,
        "PipelineArn": pipeline["PipelineArn"],
        "PipelineExecutionArn": arn(region, KIND, f"{pipeline[NAME]}/execution/{number}"),
        "Region": region,
        STATUS: RUNNING,
        "PipelineDefinition": pipeline["PipelineDefinition"],
        "Parameters": parameters_of(definition, request.get("PipelineParameters", [])),
        "RoleArn": request.get("RoleArn", pipeline["RoleArn"]),
        "Steps": {},
    }
    if parallel:
        record["ParallelismConfiguration"] = parallel
    platform.store.add(EXECUTION, number, record, invalid("the execution is there already"))
    kept = platform.store.find(EXECUTION, number)
    assert kept is not None  # it was added just now
    platform.start(EXECUTION, number, PipelineRun(platform, kept))
    return kept


OPERATIONS = {
    "CreatePipeline": create,
    "UpdatePipeline": update,
    "DescribePipeline": describe,
    "ListPipelines": list_all,
    "DeletePipeline": delete,
    "StartPipelineExecution": start,
    "ListPipelineExecutions": list_executions,
}
