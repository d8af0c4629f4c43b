"""Operations on tuning jobs: create, describe, list, stop, and the list of their training jobs."""

import importlib.util
import time

from local_sagemaker import channels, metrics, tags, training
from local_sagemaker.contract import IN_USE, NOT_FOUND, VALIDATION, ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page
from local_sagemaker.tuning_recipe import metric_of
from local_sagemaker.tuning_run import KIND, TuningRun, results_file

NAME, STATUS = "HyperParameterTuningJobName", "HyperParameterTuningJobStatus"
ENDED = ("Completed", "Failed", "Stopped")


def create(platform: Platform, request: Record, region: str) -> Record:
    _check(platform, request)
    name = request[NAME]
    record = {
        **request,
        "HyperParameterTuningJobArn": arn(region, KIND, name),
        "Region": region,
        STATUS: "InProgress",
        "TrainingJobStatusCounters": {
            "Completed": 0,
            "InProgress": 0,
            "RetryableError": 0,
            "NonRetryableError": 0,
            "Stopped": 0,
        },
        "ObjectiveStatusCounters": {"Succeeded": 0, "Pending": 0, "Failed": 0},
    }
    platform.store.add(
        KIND,
        name,
        record,
        ApiError(
            IN_USE,
            "Tuning job names must be unique within an AWS account and region, and a tuning job with this name "
            f"already exists ({record['HyperParameterTuningJobArn']})",
        ),
    )
    tags.set_all(platform, record["HyperParameterTuningJobArn"], request.get("Tags", []))
    platform.start(KIND, name, TuningRun(platform, record))
    return record


def _check(platform: Platform, request: Record) -> None:
    definition, config = (
        request.get("TrainingJobDefinition"),
        request.get("HyperParameterTuningJobConfig", {}),
    )
    if importlib.util.find_spec("tune") is None:
        raise ApiError(
            VALIDATION,
            "local SageMaker: tuning jobs run on the package tune, which is not in this checkout",
        )
    if definition is None or request.get("TrainingJobDefinitions") or request.get("Autotune"):
        raise ApiError(
            VALIDATION,
            "local SageMaker: a tuning job has one TrainingJobDefinition here, and no Autotune",
        )
    if config["ParameterRanges"].get("AutoParameters"):
        raise ApiError(
            VALIDATION,
            "local SageMaker: ParameterRanges.AutoParameters are not done here; give ranges",
        )
    if not definition["AlgorithmSpecification"].get("TrainingImage"):
        raise ApiError(
            VALIDATION,
            "You must specify AlgorithmSpecification.TrainingImage; local SageMaker has no built-in algorithms",
        )
    try:
        metric_of(request)
    except StopIteration as error:
        raise ApiError(
            VALIDATION,
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions.",
        ) from error
    metrics.check(definition["AlgorithmSpecification"]["MetricDefinitions"])
    channels.check(
        definition.get("InputDataConfig", []),
        definition["AlgorithmSpecification"].get("TrainingInputMode", "File"),
    )
    for parent in request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", []):
        record = _found(platform, parent[NAME])
        if (
            record[STATUS] not in ENDED
            or not (platform.folder / "tunings" / f"{parent[NAME]}.json").is_file()
        ):
            raise ApiError(
                VALIDATION,
                f"The parent tuning job {parent[NAME]} is {record[STATUS]}; a parent must have ended, with training jobs of its own",
            )


def _found(platform: Platform, name: str) -> Record:
    record = platform.store.find(KIND, name)
    if record is None:
        raise ApiError(NOT_FOUND, f"Amazon SageMaker can't find a tuning job with the name {name}.")
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request[NAME])
    if record.get("BestName") and (best := platform.store.find(training_run.KIND, record["BestName"])):
        record["BestTrainingJob"] = _summary(record, best)
        record["OverallBestTrainingJob"] = _overall(platform, record)
    return record


def _overall(platform: Platform, record: Record) -> Record | None:
    """The best of a job and its parents, where they searched the same; None otherwise."""
    warm = record.get("WarmStartConfig", {})
    if warm.get("WarmStartType") != "IdenticalDataAndAlgorithm":
        return None
    parents = [
        platform.store.find(KIND, parent[NAME]) or {}
        for parent in warm["ParentHyperParameterTuningJobs"]
    ]
    names = [
        (parent, parent["BestName"]) for parent in [record, *parents] if parent.get("BestName")
    ]
    found = [
        _summary(job, best)
        for job, name in names
        if (best := platform.store.find(training_run.KIND, name))
    ]
    better = (
        max
        if record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"]
        == "Maximize"
        else min
    )
    return better(
        found, key=lambda entry: entry["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    )


def _summary(record: Record, child: Record) -> Record:
    """A training job as a member of its tuning job."""
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    final = next(iter(child.get("FinalMetricDataList", [])), None)
    told = {}
    if final:
        told["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "Type": objective["Type"],
            "MetricName": final["MetricName"],
            "Value": final["Value"],
        }
    status = (
        "Pending"
        if child["TrainingJobStatus"] == "InProgress"
        else "Succeeded"
        if final
        else "Failed"
    )
    tuned = {name: child["HyperParameters"][name] for name in child.get("TunedNames", [])}
    return {
        **child,
        "TuningJobName": record[NAME],
        "TunedHyperParameters": tuned,
        "ObjectiveStatus": status,
        **told,
    }


def list_children(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request[NAME])
    children = [
        _summary(record, child)
        for child in platform.store.all(training_run.KIND)
        if child.get("TuningJobArn") == record["HyperParameterTuningJobArn"]
    ]
    if request.get("SortBy") == "FinalObjectiveMetricValue":
        children = [child for child in children if child["ObjectiveStatus"] == "Succeeded"]
        values = sorted(
            {child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in children}
        )
        children = [
            {
                **child,
                "CreationTime": values.index(
                    child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
                ),
                "Created": child["CreationTime"],
            }
            for child in children
        ]
    found, token = page(children, request, "TrainingJobName", "TrainingJobStatus", "Ascending")
    return {
        "TrainingJobSummaries": [
            {**child, "CreationTime": child.get("Created", child["CreationTime"])}
            for child in found
        ],
        "NextToken": token,
    }


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(platform.store.all(KIND), request, NAME, STATUS)
    summaries = [
        {
            **record,
            **{
                key: record["HyperParameterTuningJobConfig"][key]
                for key in ("Strategy", "ResourceLimits")
            },
        }
        for record in records
    ]
    return {"HyperParameterTuningJobSummaries": summaries, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request[NAME])
    if record[STATUS] in ENDED:
        raise ApiError(
            VALIDATION,
            f"The request was rejected because the hyperparameter tuning job is in status {record[STATUS]}.",
        )
    if runner := platform.runner(KIND, request[NAME]):
        runner.halt("Stopped")
    return {}


def delete(platform: Platform, request: Record, region: str) -> Record:
    record = _found(platform, request[NAME])
    if record[STATUS] not in ENDED:
        raise ApiError(
            IN_USE, f"The tuning job is in status {record[STATUS]} and cannot be deleted."
        )
    platform.store.remove(KIND, request[NAME])
    results_file(platform, request[NAME]).unlink(missing_ok=True)
    tags.forget(platform, record["HyperParameterTuningJobArn"])
    return {}


def unfinished(platform: Platform) -> list[Record]:
    """The records of tuning jobs that an earlier server did not bring to their end."""
    return [record for record in platform.store.all(KIND) if record[STATUS] == "InProgress"]


def recover(platform: Platform) -> None:
    """After a restart: searches go on where they were; one that was being stopped has stopped."""
    for record in platform.store.all(KIND):
        if record[STATUS] == "Stopping":
            platform.store.change(
                KIND, record[NAME], **{STATUS: "Stopped"}, HyperParameterTuningEndTime=time.time()
            )
    for record in unfinished(platform):
        platform.start(KIND, record[NAME], TuningRun(platform, record))


OPERATIONS = {
    "CreateHyperParameterTuningJob": create,
    "DescribeHyperParameterTuningJob": describe,
    "ListHyperParameterTuningJobs": list_all,
    "ListTrainingJobsForHyperParameterTuningJob": list_children,
    "StopHyperParameterTuningJob": stop,
    "DeleteHyperParameterTuningJob": delete,
}
