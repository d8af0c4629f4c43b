"""Operations on transform jobs: create, describe, list, stop."""

from local_sagemaker import tags
from local_sagemaker.contract import IN_USE, ApiError, invalid
from local_sagemaker.job_ends import ENDED, fail_unfinished
from local_sagemaker.jobs.data_processing import DataProcessing
from local_sagemaker.jobs.transform_run import KIND, TransformRun
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import models
from local_sagemaker.store import arn, page

MOST_MB = 100  # CreateTransformJob, MaxPayloadInMB


def create(platform: Platform, request: Record, region: str) -> Record:
    name = request["TransformJobName"]
    given = request["TransformInput"]
    models.found(platform, models.MODEL, request["ModelName"], region)
    if given.get("SplitType", "None") not in ("None", "Line"):
        raise invalid(
            f"local SageMaker: SplitType {given['SplitType']} is not done here; use None or Line",
        )
    if request.get("DataCaptureConfig"):
        raise invalid("local SageMaker: DataCaptureConfig of transform jobs is not done here")
    DataProcessing(request)
    if given["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise invalid(
            "local SageMaker: S3DataType of a transform job must be S3Prefix or ManifestFile",
        )
    if request.get("MaxPayloadInMB", 0) * request.get("MaxConcurrentTransforms", 1) > MOST_MB:
        raise invalid(f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {MOST_MB} MB")
    record = {
        **request,
        "TransformJobArn": arn(region, "transform-job", name),
        "Region": region,
        "TransformJobStatus": "InProgress",
    }
    tags.add_tagged(
        platform,
        KIND,
        name,
        record,
        record["TransformJobArn"],
        ApiError(
            IN_USE,
            "Job name must be unique within an AWS account and region, and a job with this name "
            f"already exists ({record['TransformJobArn']})",
        ),
    )
    platform.start(KIND, name, TransformRun(platform, record))
    return record


def _found(platform: Platform, name: str, region: str) -> Record:
    record = platform.store.find(KIND, name)
    if record is None:
        raise invalid(f'Could not find requested job with name: "{name}".')
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    return _found(platform, request["TransformJobName"], region)


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(
        platform.store.all(KIND), request, "TransformJobName", "TransformJobStatus"
    )
    return {"TransformJobSummaries": records, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request["TransformJobName"], region)
    if record["TransformJobStatus"] in ENDED:
        raise invalid(
            "The request was rejected because the transform job is in status "
            f"{record['TransformJobStatus']}.",
        )
    if runner := platform.runner(KIND, request["TransformJobName"]):
        runner.halt("Stopped")
    return {}


def recover(platform: Platform) -> None:
    """After a restart: what ran has failed."""
    fail_unfinished(platform, KIND, "Transform")


OPERATIONS = {
    "CreateTransformJob": create,
    "DescribeTransformJob": describe,
    "ListTransformJobs": list_all,
    "StopTransformJob": stop,
}
