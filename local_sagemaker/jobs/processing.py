"""Operations on processing jobs: create, describe, list, stop, delete."""

from local_sagemaker import tags
from local_sagemaker.contract import IN_USE, NOT_FOUND, ApiError, invalid
from local_sagemaker.job_ends import ENDED, fail_unfinished
from local_sagemaker.jobs.processing_run import KIND, STOP, ProcessingRun
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page

MOST_HOSTS = 9  # a limit of this server: all hosts share one machine
MOUNTED = "/opt/ml/processing"


def create(platform: Platform, request: Record, region: str) -> Record:
    check(request)
    name = request["ProcessingJobName"]
    record = {
        **request,
        "ProcessingJobArn": arn(region, "processing-job", name),
        "Region": region,
        "ProcessingJobStatus": "InProgress",
    }
    tags.add_tagged(
        platform,
        KIND,
        name,
        record,
        record["ProcessingJobArn"],
        ApiError(
            IN_USE,
            "Job name must be unique within an AWS account and region, and a job with this name "
            f"already exists ({record['ProcessingJobArn']})",
        ),
    )
    platform.start(KIND, name, ProcessingRun(platform, record))
    return record


def check(request: Record) -> None:
    """ApiError for a request that this server cannot do."""
    cluster = request["ProcessingResources"]["ClusterConfig"]
    for field in ("InstanceType", "InstanceCount"):
        if not cluster.get(field):
            raise invalid(
                "1 validation error detected: Value null at "
                f"'processingResources.clusterConfig.{field[0].lower()}{field[1:]}' failed to "
                "satisfy constraint: Member must not be null"
            )
    count = cluster["InstanceCount"]
    if count > MOST_HOSTS:
        raise invalid(
            f"local SageMaker: at most {MOST_HOSTS} hosts fit on this machine; "
            f"found InstanceCount {count}"
        )
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    names = [given["InputName"] for given in inputs]
    names += [given["OutputName"] for given in outputs]
    if len(set(names)) < len(names):
        raise invalid(f"names of inputs and outputs must be unique; found {', '.join(names)}")
    for given in inputs:
        _check_input(given)
    for given in outputs:
        _check_output(given)


def _check_input(given: Record) -> None:
    name = given["InputName"]
    source = given.get("S3Input")
    if source is None:
        raise invalid(
            f"local SageMaker: the input '{name}' has no S3Input; nothing else is done here"
        )
    if source.get("S3InputMode", "File") != "File":
        raise invalid(f"local SageMaker: the input '{name}' is of mode Pipe; use File")
    _check_path(name, source.get("LocalPath", ""))


def _check_output(given: Record) -> None:
    name = given["OutputName"]
    target = given.get("S3Output")
    if target is None:
        raise invalid(
            f"local SageMaker: the output '{name}' has no S3Output; nothing else is done here"
        )
    _check_path(name, target.get("LocalPath", ""))


def _check_path(name: str, path: str) -> None:
    # Only /opt/ml is mounted from this machine.
    if not path.startswith(f"{MOUNTED}/") or ".." in path.split("/"):
        raise invalid(f"LocalPath of '{name}' must lie below {MOUNTED}; found '{path}'")


def _found(platform: Platform, name: str) -> Record:
    record = platform.store.find(KIND, name)
    if record is None:
        raise ApiError(NOT_FOUND, f"Could not find requested job with name: {name}")
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    return _found(platform, request["ProcessingJobName"])


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(
        platform.store.all(KIND), request, "ProcessingJobName", "ProcessingJobStatus"
    )
    return {"ProcessingJobSummaries": records, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request["ProcessingJobName"])
    if record["ProcessingJobStatus"] in ENDED:
        raise invalid(
            "The request was rejected because the processing job is in status "
            f"{record['ProcessingJobStatus']}.",
        )
    if runner := platform.runner(KIND, request["ProcessingJobName"]):
        runner.halt(STOP)
    return {}


def delete(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request["ProcessingJobName"])
    if record["ProcessingJobStatus"] not in ENDED:
        raise ApiError(
            IN_USE,
            f"The processing job is in status {record['ProcessingJobStatus']} "
            "and cannot be deleted.",
        )
    platform.store.remove(KIND, record["ProcessingJobName"])
    platform.processing_usage.forget(record["ProcessingJobName"])
    tags.forget(platform, record["ProcessingJobArn"])
    return {}


def recover(platform: Platform) -> None:
    """After a restart: what ran has failed."""
    fail_unfinished(platform, KIND, "Processing")


OPERATIONS = {
    "CreateProcessingJob": create,
    "DescribeProcessingJob": describe,
    "ListProcessingJobs": list_all,
    "StopProcessingJob": stop,
    "DeleteProcessingJob": delete,
}
