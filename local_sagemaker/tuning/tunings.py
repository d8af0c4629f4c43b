"""Operations on tuning jobs: create, describe, list, stop, and the list of their training jobs."""

import time
from collections.abc import Iterator

from local_sagemaker import tags
from local_sagemaker.contract import IN_USE, ApiError, invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page
from local_sagemaker.tuning import trials
from local_sagemaker.tuning.trials import NAME, OBJECTIVE
from local_sagemaker.tuning.tuning_checks import ENDED, STATUS, check, record_of
from local_sagemaker.tuning.tuning_recipe import parents
from local_sagemaker.tuning.tuning_run import KIND, TuningRun, results_file

FINAL = "FinalHyperParameterTuningJobObjectiveMetric"


def create(platform: Platform, request: Record, region: str) -> Record:
    check(platform, request)
    name = request[NAME]
    definition = request["TrainingJobDefinition"]
    metric = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    # SageMaker shows it among these; the SDK's attach() takes it away there.
    static = {**definition.get("StaticHyperParameters", {}), OBJECTIVE: metric["MetricName"]}
    record = {
        **request,
        "TrainingJobDefinition": {**definition, "StaticHyperParameters": static},
        "HyperParameterTuningJobArn": arn(region, KIND, name),
        "Region": region,
        STATUS: "InProgress",
    }
    tags.add_tagged(
        platform,
        KIND,
        name,
        record,
        record["HyperParameterTuningJobArn"],
        ApiError(
            IN_USE,
            "Tuning job names must be unique within an AWS account and region, and a tuning job "
            f"with this name already exists ({record['HyperParameterTuningJobArn']})",
        ),
    )
    platform.start(KIND, name, TuningRun(platform, record))
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    record = record_of(platform, request[NAME])
    members = _members(platform, record)
    best = _best(record, members)
    if best:
        record["BestTrainingJob"] = best
        record["OverallBestTrainingJob"] = _overall_best(platform, record)
    return record | _counters(members)


def start_trial(platform: Platform, name: str, asked: Record) -> Iterator[bytes]:
    """A trial's training, for the program that `tune` runs: its events, a line of JSON each."""
    return trials.start(platform, record_of(platform, name), asked).events()


def _members(platform: Platform, record: Record) -> list[Record]:
    return [_summary(record, child) for child in trials.of_job(platform, record)]


def _best(record: Record, members: list[Record]) -> Record | None:
    """The best training job of one tuning job, by its last value, as SageMaker has it."""
    valued = [member for member in members if member["ObjectiveStatus"] == "Succeeded"]
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    if objective["Type"] == "Maximize":
        return max(valued, key=_value, default=None)
    return min(valued, key=_value, default=None)


def _overall_best(platform: Platform, record: Record) -> Record | None:
    """The best of a job and its parents, where they searched the same; None otherwise."""
    if record.get("WarmStartConfig", {}).get("WarmStartType") != "IdenticalDataAndAlgorithm":
        return None
    found: list[Record] = []
    for job in [record, *_parents_of(platform, record)]:
        found += _members(platform, job)
    return _best(record, found)


def _parents_of(platform: Platform, record: Record) -> list[Record]:
    """The records of a job's parents that have not been deleted."""
    records = [platform.store.find(KIND, name) for name in parents(record)]
    return [parent for parent in records if parent is not None]


def _value(summary: Record) -> float:
    value: float = summary[FINAL]["Value"]
    return value


def _summary(record: Record, child: Record) -> Record:
    """A training job as a member of its tuning job."""
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    given = child["HyperParameters"]
    tuned = [name for name in trials.tuned_names(record) if name in given]
    # SageMaker's objective is Pending while a training runs, and Failed without a value.
    summary = {
        **child,
        "TuningJobName": record[NAME],
        "TunedHyperParameters": {name: given[name] for name in tuned},
        "ObjectiveStatus": "Failed",
    }
    metric = trials.objective_of(record, child)
    if metric is not None:
        value = {"Type": objective["Type"]}
        summary[FINAL] = value | {key: metric[key] for key in ("MetricName", "Value")}
    if child["TrainingJobStatus"] not in ENDED:
        summary["ObjectiveStatus"] = "Pending"
    elif metric is not None and child["TrainingJobStatus"] != "Failed":
        summary["ObjectiveStatus"] = "Succeeded"
    return summary


def _counters(members: list[Record]) -> Record:
    """The fields of a tuning job's description that count its training jobs."""
    statuses = [member["TrainingJobStatus"] for member in members]
    objectives = [member["ObjectiveStatus"] for member in members]
    ended = {status: statuses.count(status) for status in ENDED}
    return {
        "TrainingJobStatusCounters": {
            "Completed": ended["Completed"],
            "InProgress": len(members) - sum(ended.values()),
            "RetryableError": 0,  # no failed training is started again
            "NonRetryableError": ended["Failed"],
            "Stopped": ended["Stopped"],
        },
        "ObjectiveStatusCounters": {
            status: objectives.count(status) for status in ("Succeeded", "Pending", "Failed")
        },
    }


def list_children(platform: Platform, request: Record, region: str) -> Record:
    record = record_of(platform, request[NAME])
    children = _members(platform, record)
    if request.get("SortBy") != "FinalObjectiveMetricValue":
        found, token = page(children, request, "TrainingJobName", "TrainingJobStatus", "Ascending")
        return {"TrainingJobSummaries": found, "NextToken": token}
    children = [child for child in children if child["ObjectiveStatus"] == "Succeeded"]
    # `page` sorts by CreationTime. So the rank of the value stands there until it has sorted.
    created = {child["TrainingJobName"]: child["CreationTime"] for child in children}
    values = sorted({_value(child) for child in children})
    for child in children:
        child["CreationTime"] = values.index(_value(child))
    found, token = page(children, request, "TrainingJobName", "TrainingJobStatus", "Ascending")
    for child in found:
        child["CreationTime"] = created[child["TrainingJobName"]]
    return {"TrainingJobSummaries": found, "NextToken": token}


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(platform.store.all(KIND), request, NAME, STATUS)
    summaries = []
    for record in records:
        config = record["HyperParameterTuningJobConfig"]
        shown = {key: config[key] for key in ("Strategy", "ResourceLimits")}
        summaries.append({**record, **shown, **_counters(_members(platform, record))})
    return {"HyperParameterTuningJobSummaries": summaries, "NextToken": token}


def stop(platform: Platform, request: Record, region: str) -> Record:
    record = record_of(platform, request[NAME])
    if record[STATUS] in ENDED:
        raise invalid(
            "The request was rejected because the hyperparameter tuning job is in status "
            f"{record[STATUS]}.",
        )
    if runner := platform.runner(KIND, request[NAME]):
        runner.halt("Stopped")
    return {}


def delete(platform: Platform, request: Record, region: str) -> Record:
    record = record_of(platform, request[NAME])
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
