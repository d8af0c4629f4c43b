"""A tuning job of SageMaker, with the jobs that it starts from, read by boto3.

SageMaker's lists hold each training job's last value; the learning curves are in its logs, see
tune.cloudwatch. tune.managed_form turns SageMaker's answers into results.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tune.cloudwatch import read_curves
from tune.managed_form import (
    Answer,
    ManagedError,
    Summaries,
    names_of_parents,
    objective_of,
    regexes,
    tuning_job,
)
from tune.results import TuningJob

ATTEMPTS = 8  # of one request, with longer and longer waits between
log = logging.getLogger(__name__)


def open_clients(region: str | None = None) -> tuple[Any, Any]:
    """boto3's clients of SageMaker and of CloudWatch Logs, which have no types of their own.

    region: None for that of the environment. ManagedError without boto3 or a region.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ManagedError(
            "reading a tuning job of SageMaker needs boto3, which is not installed here"
        ) from error
    with _sentences("SageMaker"):
        config = Config(retries={"mode": "standard", "max_attempts": ATTEMPTS})
        sagemaker = boto3.client("sagemaker", region_name=region, config=config)
        logs = boto3.client("logs", region_name=region, config=config)
        return sagemaker, logs


def read_managed(
    name: str, client: Any, with_parents: bool = True, logs: Any = None
) -> tuple[TuningJob, ...]:
    """The tuning job and, with_parents, its parents and theirs, in the order of their creation.

    The job itself is last. logs: boto3's client of CloudWatch Logs, None to do without learning
    curves. A parent that was deleted since is left out with a warning. ManagedError when the job
    itself cannot be read.
    """
    with _sentences(f"tuning job '{name}'"):
        described = _describe(name, client, with_parents)
        own = described.pop(name)
        parents = sorted(described.values(), key=lambda job: job["CreationTime"])
        return tuple(_job(job, client, logs) for job in [*parents, own])


def _describe(name: str, client: Any, with_parents: bool) -> dict[str, Answer]:
    """SageMaker's descriptions by the jobs' names."""
    job = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    described: dict[str, Answer] = {name: job}
    waiting: list[str] = []
    if with_parents:
        waiting = names_of_parents(job)
    while waiting:
        parent = waiting.pop(0)
        if parent in described:
            continue
        try:
            job = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=parent)
        except client.exceptions.ResourceNotFound:
            log.warning(
                "tuning job '%s', which '%s' starts from, is not there any more: "
                "its trials are missing",
                parent,
                name,
            )
            continue
        described[parent] = job
        waiting += names_of_parents(job)
    return described


def _job(job: Answer, client: Any, logs: Any) -> TuningJob:
    """A description, with the list of its training jobs, as results."""
    objective_of(job)  # a job that cannot be ranked is refused before its trials are listed
    name = job["HyperParameterTuningJobName"]
    pages = client.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job").paginate(
        HyperParameterTuningJobName=name, SortBy="CreationTime", SortOrder="Ascending"
    )
    summaries: Summaries = []
    for page in pages:
        summaries += page["TrainingJobSummaries"]
    curves: dict[str, tuple[float, ...]] = {}
    if logs:
        curves = read_curves(regexes(job, summaries), logs)
    return tuning_job(job, summaries, curves, lambda trial: _reason(trial, client))


def _reason(name: str, client: Any) -> str:
    """Why a training job failed or was stopped, by its own description.

    Empty when that was deleted, or gives no reason.
    """
    try:
        job = client.describe_training_job(TrainingJobName=name)
    except client.exceptions.ResourceNotFound:
        return ""
    reason = job.get("FailureReason", "")
    transitions = job.get("SecondaryStatusTransitions", [])
    for transition in transitions[-1:]:  # the newest; none of a job that is just created
        reason = reason or transition.get("StatusMessage", "")
    if not reason and job["SecondaryStatus"] == "MaxRuntimeExceeded":
        reason = "it ran longer than it may"
    return str(reason)


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    """botocore's errors as ManagedError of one sentence."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        details = error.response.get("Error", {})
        cause = f"{details.get('Code', 'error')}: {details.get('Message', '')}"
        raise ManagedError(f"{what} cannot be read: {cause.rstrip(': ')}") from error
    except BotoCoreError as error:
        raise ManagedError(f"{what} cannot be read: {str(error).rstrip('.')}") from error
