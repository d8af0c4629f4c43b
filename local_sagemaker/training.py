"""Operations on training jobs: CreateTrainingJob, DescribeTrainingJob, ListTrainingJobs, StopTrainingJob, DeleteTrainingJob."""

import time

from local_sagemaker import channels, metrics, rules, tags
from local_sagemaker.contract import IN_USE, NOT_FOUND, VALIDATION, ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page
from local_sagemaker.training_run import KIND, SPOT, STOP, TrainingRun

ENDED = ("Completed", "Failed", "Stopped")
UNSUPPORTED = ("ServerlessJobConfig", "MlflowConfig", "ModelPackageConfig")


def create(platform: Platform, request: Record, region: str) -> Record:
    _check(request)
    name = request["TrainingJobName"]
    record = {
        **request,
        "TrainingJobArn": arn(region, "training-job", name),
        "Region": region,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
    }
    if request.get("DebugHookConfig") or request.get("ProfilerConfig"):
        record["ProfilingStatus"] = (
            "Disabled"
            if request.get("ProfilerConfig", {}).get("DisableProfiler", True)
            else "Enabled"
        )
    record |= rules.begin(record)
    platform.store.add(
        KIND,
        name,
        record,
        ApiError(
            IN_USE,
            "Training job names must be unique within an AWS account and region, and a training job with "
            f"this name already exists ({record['TrainingJobArn']})",
        ),
    )
    tags.set_all(platform, record["TrainingJobArn"], request.get("Tags", []))
    platform.start(KIND, name, TrainingRun(platform, record))
    return record


def adopt(platform: Platform, record: Record) -> None:
    """Show a training that another program runs: a tuning job's."""
    platform.store.add(
        KIND,
        record["TrainingJobName"],
        record,
        ApiError(IN_USE, f"There is a training job '{record['TrainingJobName']}' already"),
    )
    tags.set_all(platform, record["TrainingJobArn"], [])


def _check(request: Record) -> None:
    algorithm, resources, limits = (
        request["AlgorithmSpecification"],
        request.get("ResourceConfig", {}),
        request.get("StoppingCondition", {}),
    )
    for part in UNSUPPORTED:
        if request.get(part):
            raise ApiError(VALIDATION, f"local SageMaker: {part} is not done here")
    if not algorithm.get("TrainingImage"):
        raise ApiError(
            VALIDATION,
            "You must specify AlgorithmSpecification.TrainingImage; local SageMaker has no built-in algorithms",
        )
    if not resources.get("InstanceType") and not resources.get("InstanceGroups"):
        raise ApiError(
            VALIDATION,
            "1 validation error detected: Value null at 'resourceConfig.instanceType' failed to satisfy constraint: "
            "Member must not be null",
        )
    if resources.get("InstanceGroups"):
        raise ApiError(
            VALIDATION,
            "local SageMaker: InstanceGroups are not done here; use InstanceType and InstanceCount",
        )
    if resources.get("InstanceCount", 1) > 9:
        raise ApiError(
            VALIDATION,
            f"local SageMaker: at most 9 hosts fit on this machine; found InstanceCount {resources['InstanceCount']}",
        )
    if request.get("EnableManagedSpotTraining"):
        if limits.get("MaxWaitTimeInSeconds", 0) < limits.get("MaxRuntimeInSeconds", 86400):
            raise ApiError(
                VALIDATION,
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds",
            )
    elif "MaxWaitTimeInSeconds" in limits:
        raise ApiError(
            VALIDATION,
            "MaxWaitTimeInSeconds is only applicable when EnableManagedSpotTraining is true",
        )
    channels.check(request.get("InputDataConfig", []), algorithm.get("TrainingInputMode", "File"))
    metrics.check(algorithm.get("MetricDefinitions", []))
    for part in ("CheckpointConfig", "DebugHookConfig", "TensorBoardOutputConfig"):
        path = request.get(part, {}).get("LocalPath", "/opt/ml/")
        if not path.startswith("/opt/ml/") or ".." in path:
            raise ApiError(
                VALIDATION,
                f"local SageMaker: {part}.LocalPath must lie below /opt/ml; found '{path}'",
            )


def found(platform: Platform, name: str) -> Record:
    """A job's record. ApiError when there is none."""
    record = platform.store.find(KIND, name)
    if record is None:
        raise ApiError(VALIDATION, "Requested resource not found.")
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request["TrainingJobName"])
    record.setdefault(
        "ModelArtifacts",
        {"S3ModelArtifacts": ""}
        if record["TrainingJobStatus"] not in ENDED
        else {"S3ModelArtifacts": "None"},
    )
    return record


def list_jobs(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(platform.store.all(KIND), request, "TrainingJobName", "TrainingJobStatus")
    return {"TrainingJobSummaries": records, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request["TrainingJobName"])
    if record["TrainingJobStatus"] in ENDED:
        raise ApiError(
            VALIDATION,
            f"The request was rejected because the training job is in status {record['TrainingJobStatus']}.",
        )
    if record.get("TuningJobArn"):
        raise ApiError(
            VALIDATION,
            f"local SageMaker: the training job belongs to {record['TuningJobArn']}; stop that",
        )
    if runner := platform.runner(KIND, request["TrainingJobName"]):
        runner.halt(STOP)
    return {}


def delete(platform: Platform, request: Record, region: str) -> Record:
    name = request["TrainingJobName"]
    record = platform.store.find(KIND, name)
    if record is None:
        raise ApiError(NOT_FOUND, "Requested resource not found.")
    if record["TrainingJobStatus"] not in ENDED:
        raise ApiError(
            IN_USE,
            f"The training job is in status {record['TrainingJobStatus']} and cannot be deleted.",
        )
    platform.store.remove(KIND, name)
    tags.forget(platform, record["TrainingJobArn"])
    return {}


def interrupt(platform: Platform, name: str) -> Record:
    """Ours: take a spot job's instances back, as SageMaker may at any time. It starts again from its checkpoints."""
    record = found(platform, name)
    if not record.get("EnableManagedSpotTraining"):
        raise ApiError(
            VALIDATION,
            f"The training job '{name}' is no spot training; set EnableManagedSpotTraining",
        )
    if record.get("TuningJobArn"):
        raise ApiError(
            VALIDATION,
            f"local SageMaker: the training job belongs to {record['TuningJobArn']}, whose spot instances are not taken back here",
        )
    runner = platform.runner(KIND, name)
    if record["SecondaryStatus"] != "Training" or runner is None:
        raise ApiError(
            VALIDATION,
            f"The training job '{name}' is {record['SecondaryStatus']}; only one that is Training can be interrupted",
        )
    runner.halt(SPOT)
    return {"TrainingJobName": name}


def recover(platform: Platform, searches: set[str]) -> None:
    """After a restart: what ran has failed, since its instances are gone. searches: ARNs of tuning jobs that go on, with their trainings."""
    for record in platform.store.all(KIND):
        name = record["TrainingJobName"]
        if record.get("TuningJobArn") in searches:
            continue
        for field in rules.PARTS.values():
            for number, status in enumerate(record.get(field, [])):
                if status["RuleEvaluationStatus"] == "InProgress":
                    with platform.store.changing(KIND, name) as held:
                        held[field][number].update(
                            RuleEvaluationStatus="Error",
                            StatusDetails="InternalServerError: the local server ended before the rule was judged",
                        )
        if record["TrainingJobStatus"] not in ENDED:
            with platform.store.changing(KIND, name) as held:
                now = time.time()
                held["SecondaryStatusTransitions"].append(
                    {
                        "Status": "Failed",
                        "StartTime": now,
                        "EndTime": now,
                        "StatusMessage": "Training job failed",
                    }
                )
                held.update(
                    TrainingJobStatus="Failed",
                    SecondaryStatus="Failed",
                    TrainingEndTime=now,
                    FailureReason="InternalServerError: the local server ended while the job ran",
                )


OPERATIONS = {
    "CreateTrainingJob": create,
    "DescribeTrainingJob": describe,
    "ListTrainingJobs": list_jobs,
    "StopTrainingJob": stop,
    "DeleteTrainingJob": delete,
}
