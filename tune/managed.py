"""A tuning job of SageMaker, read by boto3 into the form that table, CSV and page take, with the jobs it starts from.

SageMaker's lists hold each training job's last value; the learning curves lie in its logs, see tune.cloudwatch.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tune.cloudwatch import read_curves
from tune.results import Trial, TuningJob

STATUS = {
    "Stopping": "InProgress",
    "Deleting": "Stopped",
    "DeleteFailed": "Stopped",
}  # SageMaker's, as far as it differs from STATUSES
OWN = ("_tuning_objective_metric",)  # hyperparameters that SageMaker adds to those of a job
NUMBER = {"Continuous": float, "Integer": int}
log = logging.getLogger(__name__)


class ManagedError(ValueError):
    """SageMaker has no such tuning job, refuses to show it, or is out of reach."""


def open_clients(region: str | None = None) -> tuple[Any, Any]:
    """boto3's clients of SageMaker and of CloudWatch Logs, for a region or that of the environment. ManagedError without boto3 or a region."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ManagedError(
            "reading a tuning job of SageMaker needs boto3, which is not installed here"
        ) from error
    with _sentences("SageMaker"):
        config = Config(retries={"mode": "standard", "max_attempts": 8})
        return boto3.client("sagemaker", region_name=region, config=config), boto3.client(
            "logs", region_name=region, config=config
        )


def read_managed(
    name: str, client: Any, with_parents: bool = True, logs: Any = None
) -> tuple[TuningJob, ...]:
    """The tuning job and, with_parents, all that it starts from and those start from, in the order of their creation; the job itself is last.

    logs: boto3's client of CloudWatch Logs, None to do without learning curves. A parent that was deleted since is left out with a warning.
    ManagedError when the job itself cannot be read.
    """
    with _sentences(f"tuning job '{name}'"):
        described = {
            name: client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        }
        waiting = _parents(described[name]) if with_parents else []
        while waiting:
            parent = waiting.pop(0)
            if parent not in described:
                try:
                    described[parent] = client.describe_hyper_parameter_tuning_job(
                        HyperParameterTuningJobName=parent
                    )
                except client.exceptions.ResourceNotFound:
                    log.warning(
                        "tuning job '%s', which '%s' starts from, is not there any more: its trials are missing",
                        parent,
                        name,
                    )
                    continue
                waiting += _parents(described[parent])
        order = sorted(
            described.values(),
            key=lambda job: (job["HyperParameterTuningJobName"] == name, job["CreationTime"]),
        )
        return tuple(_job(job, client, logs) for job in order)


def _parents(job: dict) -> list[str]:
    parents = job.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [parent["HyperParameterTuningJobName"] for parent in parents]


def _job(job: dict, client: Any, logs: Any) -> TuningJob:
    """A description, and the list of its training jobs, in our form. A job of several algorithms has the ranges and the static ones of all."""
    name, config = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobConfig"]
    definitions = (
        [job["TrainingJobDefinition"]]
        if "TrainingJobDefinition" in job
        else job.get("TrainingJobDefinitions", [])
    )
    objectives = [
        config.get("HyperParameterTuningJobObjective"),
        *(each.get("TuningObjective") for each in definitions),
    ]
    objectives = [objective for objective in objectives if objective]
    if not objectives:
        raise ManagedError(f"tuning job '{name}' names no objective metric")
    if len(named := {(objective["MetricName"], objective["Type"]) for objective in objectives}) > 1:
        raise ManagedError(
            f"tuning job '{name}' has several objectives ({', '.join(sorted(metric for metric, _ in named))}), which cannot be ranked together"
        )
    ranges: dict[str, dict] = {}
    for found in (
        config.get("ParameterRanges"),
        *(each.get("HyperParameterRanges") for each in definitions),
    ):
        ranges = _ranges(found or {}) | ranges
    own = {
        each.get("DefinitionName", ""): _texts(each.get("StaticHyperParameters", {}))
        for each in definitions
    }
    static = {key: value for values in own.values() for key, value in values.items()}
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, SortBy="CreationTime", SortOrder="Ascending"
    )
    summaries = [summary for page in pages for summary in page["TrainingJobSummaries"]]
    curves = (
        read_curves(_regexes(summaries, definitions, objectives[0]["MetricName"]), logs)
        if logs
        else {}
    )
    trials = tuple(
        _trial(
            summary,
            own.get(summary.get("TrainingJobDefinitionName", ""), static),
            curves.get(summary["TrainingJobName"], ()),
            client,
        )
        for summary in summaries
    )
    status = job["HyperParameterTuningJobStatus"]
    return TuningJob(
        name,
        objectives[0]["MetricName"],
        objectives[0]["Type"],
        config["Strategy"],
        STATUS.get(status, status),
        ranges,
        static,
        trials,
        tuple(_parents(job)),
        job.get("WarmStartConfig", {}).get("WarmStartType", ""),
    )


def _regexes(summaries: list[dict], definitions: list[dict], metric: str) -> dict[str, str]:
    """By training job that has started: how its objective is read. SageMaker's own algorithms have no regex."""
    known = {
        each.get("DefinitionName", ""): entry["Regex"]
        for each in definitions
        for entry in each["AlgorithmSpecification"].get("MetricDefinitions", [])
        if entry["Name"] == metric
    }
    regexes = {
        summary["TrainingJobName"]: known.get(summary.get("TrainingJobDefinitionName", ""))
        for summary in summaries
        if "TrainingStartTime" in summary
    }
    return {name: regex for name, regex in regexes.items() if regex}


def _ranges(found: dict) -> dict[str, dict]:
    ranges: dict[str, dict] = {}
    for kind, number in NUMBER.items():
        for entry in found.get(f"{kind}ParameterRanges", []):
            ranges[entry["Name"]] = {
                "type": kind,
                "min": number(float(entry["MinValue"])),
                "max": number(float(entry["MaxValue"])),
                "scale": entry.get("ScalingType", "Auto"),
            }
    for entry in found.get("CategoricalParameterRanges", []):
        ranges[entry["Name"]] = {
            "type": "Categorical",
            "values": [_plain(value) for value in entry["Values"]],
        }
    return ranges


def _trial(summary: dict, static: dict[str, str], curve: tuple[float, ...], client: Any) -> Trial:
    """A line of the list; its description is asked for only where the list leaves a reason open."""
    status = STATUS.get(summary["TrainingJobStatus"], summary["TrainingJobStatus"])
    tuned = _texts(summary["TunedHyperParameters"])
    value = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    if value is None and status == "InProgress" and curve:
        value = curve[-1]
    reason = summary.get("FailureReason", "")
    if not reason and status in ("Failed", "Stopped"):
        reason = _reason(summary["TrainingJobName"], client)
    if not reason and status == "Completed" and value is None:
        reason = "SageMaker found no objective in its output" + (
            ": its regex matched nothing" if summary.get("ObjectiveStatus") == "Failed" else ""
        )
    return Trial(
        summary["TrainingJobName"],
        status,
        {**static, **tuned},
        tuple(tuned),
        None if value is None else float(value),
        curve,
        reason,
        _moment(summary.get("TrainingStartTime") or summary["CreationTime"]),
        _moment(summary.get("TrainingEndTime")),
    )


def _reason(name: str, client: Any) -> str:
    """Why a training job failed or was stopped, as its own description tells; empty when that was deleted, or tells nothing."""
    try:
        job = client.describe_training_job(TrainingJobName=name)
    except client.exceptions.ResourceNotFound:
        return ""
    transitions = job.get("SecondaryStatusTransitions", [])
    message = transitions[-1].get("StatusMessage", "") if transitions else ""
    return (
        job.get("FailureReason")
        or message
        or {"MaxRuntimeExceeded": "it ran longer than it may"}.get(job["SecondaryStatus"], "")
    )


def _texts(values: dict[str, str]) -> dict[str, str]:
    return {name: _plain(value) for name, value in values.items() if name not in OWN}


def _plain(text: str) -> str:
    """SageMaker's SDK writes texts as JSON, in quotes of their own."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except json.JSONDecodeError:
            return text
    return text


def _moment(when: datetime | None) -> str | None:
    return when.isoformat(timespec="seconds") if when else None


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    """botocore's errors as ManagedError of one sentence."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        raise ManagedError(
            f"{what} cannot be read: {details.get('Code', 'error')}: {details.get('Message', '')}".rstrip(
                ": "
            )
        ) from error
    except BotoCoreError as error:
        raise ManagedError(f"{what} cannot be read: {str(error).rstrip('.')}") from error
