"""Learning curves of SageMaker's training jobs: the values that the objective's regex finds in their logs, which CloudWatch keeps.

SageMaker's own algorithms come without a regex: theirs are not read.
"""

import logging
import math
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

GROUP = "/aws/sagemaker/TrainingJobs"
AT_ONCE = 6  # trainings whose logs are asked for side by side; CloudWatch allows 25 requests a second, and clients retry
PAGES = 50  # of one stream, of a megabyte at most
log = logging.getLogger(__name__)


def read_curves(regexes: Mapping[str, str], logs: Any) -> dict[str, tuple[float, ...]]:
    """The values that each training job printed, in order, by its name; without an entry where there are none. regexes: that of the
    objective by the training job's name; logs: boto3's client of CloudWatch Logs.

    A log that is not there, or not there any more, is no fault; when CloudWatch refuses to show any, a warning says so.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    curves: dict[str, tuple[float, ...]] = {}
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        for name, curve in zip(
            regexes, pool.map(lambda name: _curve(name, regexes[name], logs), regexes)
        ):
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
    """What the first of the job's hosts told that told any; a job that was started again has several streams a host."""
    try:
        pattern = re.compile(regex)
    except re.error:
        return ()
    try:
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, logStreamNamePrefix=f"{name}/"
        )
        streams = sorted(stream["logStreamName"] for page in pages for stream in page["logStreams"])
        told: dict[str, tuple[float, ...]] = {}
        for stream in streams:
            host = stream.rpartition("-")[0]  # NAME/algo-1-TIME
            if any(values for other, values in told.items() if other != host):
                break
            told[host] = told.get(host, ()) + _values(stream, pattern, logs)
    except logs.exceptions.ResourceNotFoundException:
        return ()
    return next((values for values in told.values() if values), ())


def _values(stream: str, pattern: re.Pattern, logs: Any) -> tuple[float, ...]:
    found: list[float] = []
    token: dict[str, str] = {}
    for _ in range(PAGES):
        page = logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token
        )
        for event in page["events"]:
            found += [
                value
                for match in pattern.finditer(event["message"])
                if (value := _number(match)) is not None
            ]
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        token = {"nextToken": page["nextForwardToken"]}
    return tuple(found)


def _number(match: re.Match) -> float | None:
    try:
        value = float(match[1])
    except (IndexError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
