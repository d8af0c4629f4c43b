"""Operations on training jobs: create, describe, list, stop, delete, and our own interrupt."""

import time

from local_sagemaker import tags
from local_sagemaker.contract import IN_USE, NOT_FOUND, ApiError, invalid
from local_sagemaker.job_ends import SERVER_ENDED
from local_sagemaker.jobs import channels, instance_groups, metrics, mlflow, rules
from local_sagemaker.jobs.training_run import DEFAULT_RUNTIME_S, KIND, SPOT, STOP, TrainingRun
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page
from runtime.engine_facts import PROCESS

ENDED = ("Completed", "Failed", "Stopped")
RULE_LEFT = "InternalServerError: the local server ended before the rule was judged"


def create(platform: Platform, request: Record, region: str) -> Record:
    check(platform, request)
    record = first_record(request, region)
    add(platform, record)
    platform.start(KIND, record["TrainingJobName"], TrainingRun(platform, record))
    return record


def first_record(request: Record, region: str) -> Record:
    """The record of a job that is about to start."""
    record = {
        **request,
        "TrainingJobArn": arn(region, "training-job", request["TrainingJobName"]),
        "Region": region,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
    }
    if request.get("DebugHookConfig") or request.get("ProfilerConfig"):
        record["ProfilingStatus"] = "Enabled"
        if request.get("ProfilerConfig", {}).get("DisableProfiler", True):
            record["ProfilingStatus"] = "Disabled"
    return record | rules.begin(record)


def add(platform: Platform, record: Record) -> None:
    """Keep a new job's record and tags. ApiError where its name is in use."""
    tags.add_tagged(
        platform,
        KIND,
        record["TrainingJobName"],
        record,
        record["TrainingJobArn"],
        ApiError(
            IN_USE,
            "Training job names must be unique within an AWS account and region, and a training "
            f"job with this name already exists ({record['TrainingJobArn']})",
        ),
    )


def forget(platform: Platform, record: Record) -> None:
    """Take a job's record and its tags away."""
    platform.store.remove(KIND, record["TrainingJobName"])
    platform.metric_history.forget(record["TrainingJobName"])
    platform.training_usage.forget(record["TrainingJobName"])
    tags.forget(platform, record["TrainingJobArn"])


def check(platform: Platform, request: Record) -> None:
    """ApiError for a request that this server cannot do."""
    _check_script(platform, request.get("HyperParameters", {}))
    mlflow.check(request)
    algorithm = request.get("AlgorithmSpecification", {})
    if not algorithm.get("TrainingImage"):
        raise invalid(
            "You must specify AlgorithmSpecification.TrainingImage; "
            "local SageMaker has no built-in algorithms"
        )
    if algorithm.get("AlgorithmName"):
        raise invalid("AlgorithmSpecification has TrainingImage and AlgorithmName; leave one out")
    instance_groups.check(request.get("ResourceConfig", {}), request.get("InputDataConfig", []))
    _check_times(request)
    channels.check(request.get("InputDataConfig", []), algorithm.get("TrainingInputMode", "File"))
    metrics.check(algorithm.get("MetricDefinitions", []))
    parts = {
        part: request.get(part, {})
        for part in ("CheckpointConfig", "DebugHookConfig", "TensorBoardOutputConfig")
    }
    profiler = request.get("ProfilerConfig", {})
    parts["ProfilerConfig.ProfilingParameters"] = profiler.get("ProfilingParameters", {})
    for part, given in parts.items():
        # Only /opt/ml is mounted from this machine: other folders cannot be read from here.
        path = given.get("LocalPath", "/opt/ml/")
        if not path.startswith("/opt/ml/") or ".." in path:
            raise invalid(
                f"local SageMaker: {part}.LocalPath must lie below /opt/ml; found '{path}'"
            )


def _check_script(platform: Platform, hyperparameters: dict[str, str]) -> None:
    """ApiError for a user's own script on an engine that would run our training in its place."""
    names = {name.replace("-", "_") for name in hyperparameters}
    if platform.container_engine.name == PROCESS and "sagemaker_program" in names:
        raise invalid(
            "local SageMaker: a script of your own (sagemaker_program) runs in the training image, "
            "and this server runs no images; start it with --engine docker or podman"
        )


def _check_times(request: Record) -> None:
    limits = request.get("StoppingCondition", {})
    run_s = limits.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
    spot = request.get("EnableManagedSpotTraining")
    # Waiting for spot capacity counts towards MaxWaitTimeInSeconds, training towards both.
    if spot and limits.get("MaxWaitTimeInSeconds", 0) < run_s:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
    if not spot and "MaxWaitTimeInSeconds" in limits:
        raise invalid(
            "MaxWaitTimeInSeconds is only applicable when EnableManagedSpotTraining is true"
        )


def found(platform: Platform, name: str) -> Record:
    """A job's record. ApiError when there is none."""
    record = platform.store.find(KIND, name)
    if record is None:
        raise invalid("Requested resource not found.")
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request["TrainingJobName"])
    # SageMaker's own words for "no model": "" while a job runs, "None" after its end.
    without = ""
    if record["TrainingJobStatus"] in ENDED:
        without = "None"
    record.setdefault("ModelArtifacts", {"S3ModelArtifacts": without})
    return record


def list_jobs(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(platform.store.all(KIND), request, "TrainingJobName", "TrainingJobStatus")
    return {"TrainingJobSummaries": records, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request["TrainingJobName"])
    if record["TrainingJobStatus"] in ENDED:
        raise invalid(
            "The request was rejected because the training job is in status "
            f"{record['TrainingJobStatus']}.",
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
    forget(platform, record)
    return {}


def interrupt(platform: Platform, name: str) -> Record:
    """Take a spot job's instances back, as SageMaker may at any time: an operation of our own.

    The job starts again from its checkpoints.
    """
    record = found(platform, name)
    if not record.get("EnableManagedSpotTraining"):
        raise invalid(
            f"The training job '{name}' is not a spot training; set EnableManagedSpotTraining",
        )
    runner = platform.runner(KIND, name)
    if record["SecondaryStatus"] != "Training" or runner is None:
        raise invalid(
            f"The training job '{name}' is {record['SecondaryStatus']}; "
            "only one that is Training can be interrupted",
        )
    runner.halt(SPOT)
    return {"TrainingJobName": name}


def recover(platform: Platform, searches: set[str]) -> None:
    """After a restart: what ran has failed, since its instances are gone.

    searches: ARNs of tuning jobs that go on, with their trainings.
    """
    for record in platform.store.all(KIND):
        name = record["TrainingJobName"]
        if record.get("TuningJobArn") in searches:
            continue
        # A job may have ended while its rules were still being judged.
        with platform.store.changing(KIND, name) as held:
            for field in rules.PARTS.values():
                for status in held.get(field, []):
                    if status["RuleEvaluationStatus"] == "InProgress":
                        status["RuleEvaluationStatus"] = "Error"
                        status["StatusDetails"] = RULE_LEFT
            if record["TrainingJobStatus"] not in ENDED:
                _fail(held)


def _fail(record: Record) -> None:
    now = time.time()
    transition = {
        "Status": "Failed",
        "StartTime": now,
        "EndTime": now,
        "StatusMessage": "Training job failed",
    }
    record["SecondaryStatusTransitions"].append(transition)
    record.update(
        TrainingJobStatus="Failed",
        SecondaryStatus="Failed",
        TrainingEndTime=now,
        FailureReason=SERVER_ENDED,
    )


OPERATIONS = {
    "CreateTrainingJob": create,
    "DescribeTrainingJob": describe,
    "ListTrainingJobs": list_jobs,
    "StopTrainingJob": stop,
    "DeleteTrainingJob": delete,
}
