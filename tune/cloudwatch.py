"""Learning curves of SageMaker's training jobs, read from their logs in CloudWatch.

They are the values that the objective's regex finds. SageMaker's own algorithms come without a
regex: theirs are not read.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

GROUP = "/aws/sagemaker/TrainingJobs"
# Trainings whose logs are read side by side. CloudWatch allows 25 requests a second, and clients
# retry.
AT_ONCE = 6
PAGES = 50  # of one stream, of a megabyte at most
log = logging.getLogger(__name__)


def read_curves(regexes: Mapping[str, str], logs: Any) -> dict[str, tuple[float, ...]]:
    """The values that each training job printed, in order, by its name; jobs without any are left
    out.

    regexes: that of the objective by the training job's name; logs: boto3's client of CloudWatch
    Logs, which has no types of its own. A log that does not exist is not a fault; when CloudWatch
    refuses to show any, a warning says so.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    curves: dict[str, tuple[float, ...]] = {}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        found = pool.map(lambda name: _curve(name, regexes[name], logs), regexes)
        for name, curve in zip(regexes, found, strict=True):
            if curve:
                curves[name] = curve
    except (ClientError, BotoCoreError) as error:
        log.warning(
            "the learning curves are missing: CloudWatch's logs cannot be read: %s",
            str(error).rstrip("."),
        )
    finally:
        pool.shutdown(cancel_futures=True)
    return curves


def _curve(name: str, regex: str, logs: Any) -> tuple[float, ...]:
    """The values of the job's first host that printed any.

    A job that was started again has several streams per host.
    """
    try:
        pattern = re.compile(regex)
    except re.error:
        return ()
    first = ""
    found: tuple[float, ...] = ()
    try:
        for stream in _streams(name, logs):  # sorted: those of one host follow each other
            host = stream.rpartition("-")[0]  # NAME/algo-1-TIME
            if found and host != first:
                break
            first = host
            found += _values(stream, pattern, logs)
    except logs.exceptions.ResourceNotFoundException:
        return ()
    return found


def _streams(name: str, logs: Any) -> list[str]:
    """The names of a training job's log streams, sorted."""
    pages = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, logStreamNamePrefix=f"{name}/"
    )
    names: list[str] = []
    for page in pages:
        names += [stream["logStreamName"] for stream in page["logStreams"]]
    return sorted(names)


def _values(stream: str, pattern: re.Pattern[str], logs: Any) -> tuple[float, ...]:
    found: list[float] = []
    token: dict[str, str] = {}
    for _ in range(PAGES):
        page = logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token
        )
        for event in page["events"]:
            found += _numbers(pattern, event["message"])
        # CloudWatch's sign of a stream's end: the token that it was given.
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    return tuple(found)


def _numbers(pattern: re.Pattern[str], message: str) -> Iterator[float]:
    """The finite numbers in the pattern's first group."""
    for match in pattern.finditer(message):
        try:
            value = float(match[1])
        except (IndexError, TypeError, ValueError):
            continue
        if math.isfinite(value):
            yield value
