"""A trial of a search, as tune's tuning.json has it, in the words of a training job's record."""

import datetime
import time

from local_sagemaker.job_ends import REASON_LENGTH
from local_sagemaker.record import Record
from local_sagemaker.store import arn
from local_sagemaker.tuning_recipe import metric_of

RUNNING = "InProgress"
SECONDARY = {RUNNING: "Training"}  # other statuses are their own secondary ones
# Fields that DescribeTrainingJob takes over from the search's TrainingJobDefinition.
SHOWN = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "Environment",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
)


def first_record(job: Record, trial: Record) -> Record:
    """The record of a trial that has just begun. job: the tuning job's."""
    name = trial["name"]
    definition = job["TrainingJobDefinition"]
    objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    # SageMaker adds this hyperparameter to each training of a search.
    hyperparameters = {
        **trial["hyperparameters"],
        "_tuning_objective_metric": objective["MetricName"],
    }
    return {
        **{key: definition[key] for key in SHOWN if key in definition},
        "TrainingJobName": name,
        "TrainingJobArn": arn(job["Region"], "training-job", name),
        "Region": job["Region"],
        "HyperParameters": hyperparameters,
        "TuningJobArn": job["HyperParameterTuningJobArn"],
        "TrainingJobStatus": RUNNING,
        "SecondaryStatus": "Training",
    }


def fields_now(job: Record, trial: Record) -> Record:
    """The fields of a trial's record that change while it runs."""
    status = trial["status"]
    began = epoch_s(trial["started"])
    ended = epoch_s(trial["ended"])
    fields: Record = {
        "TrainingJobStatus": status,
        "SecondaryStatus": SECONDARY.get(status, status),
        "TrainingStartTime": began,
        "TrainingEndTime": ended,
        "TunedNames": list(trial["tuned"]),
        "SecondaryStatusTransitions": transitions(trial),
        "FailureReason": None,
    }
    if status == "Failed":
        fields["FailureReason"] = f"AlgorithmError: {trial['reason']}"[:REASON_LENGTH]
    if status != RUNNING:
        fields["TrainingTimeInSeconds"] = round((ended or 0) - (began or 0))
    last = last_value(trial)
    if last is not None:
        metric = {
            "MetricName": metric_of(job)["Name"],
            "Value": last,
            "Timestamp": ended or time.time(),
        }
        fields["FinalMetricDataList"] = [metric]
    return fields


def last_value(trial: Record) -> float | None:
    """The last value that a trial printed, by which SageMaker judges it; None without one.

    tuning.json's objective is the best of the curve.
    """
    if trial["objective"] is None:
        return None
    return float(trial["curve"][-1])


def transitions(trial: Record) -> list[Record]:
    """SecondaryStatusTransitions, without Downloading: a search brings its data once."""
    began = epoch_s(trial["started"])
    ended = epoch_s(trial["ended"])
    steps: list[Record] = []
    if began:
        steps += [{"Status": status, "StartTime": began} for status in ("Starting", "Training")]
    if trial["status"] != RUNNING and ended:
        if trial["status"] != "Failed":
            steps.append({"Status": "Uploading", "StartTime": ended})
        steps.append({"Status": trial["status"], "StartTime": ended})
    for step, following in zip(steps, steps[1:], strict=False):  # the last has none that follows
        step["EndTime"] = following["StartTime"]
    if steps and ended:
        steps[-1]["EndTime"] = ended
    return steps


def counters(job: Record) -> Record:
    """The fields of the tuning job's record that count its trials. job: as tuning.json has it."""
    trials = job["trials"]
    statuses = [trial["status"] for trial in trials]
    values: dict[str, float] = {}
    for trial in trials:
        last = last_value(trial)
        if last is not None and trial["status"] in ("Completed", "Stopped"):
            values[trial["name"]] = last
    best = None
    if values:
        choose = max if job["direction"] == "Maximize" else min
        best = choose(values, key=values.__getitem__)
    running = statuses.count(RUNNING)
    return {
        "BestName": best,
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": running,
            "Stopped": statuses.count("Stopped"),
            "NonRetryableError": statuses.count("Failed"),
            "RetryableError": 0,  # tune starts no failed training again
        },
        "ObjectiveStatusCounters": {
            "Succeeded": len(values),
            "Pending": running,
            "Failed": len(trials) - len(values) - running,
        },
    }


def epoch_s(moment: str | None) -> float | None:
    """Seconds since the epoch of an ISO time."""
    if not moment:
        return None
    return datetime.datetime.fromisoformat(moment).timestamp()
