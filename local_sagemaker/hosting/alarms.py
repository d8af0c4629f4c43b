"""The state of CloudWatch's alarms, for updates that an alarm rolls back.

CloudWatch's endpoint must be set, as for the metrics (metric_data.py). moto keeps an alarm's state
and evaluates none: SetAlarmState sets it.
"""

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_sagemaker import metric_data
from local_sagemaker.record import Record

RINGS = "ALARM"


class AlarmError(Exception):
    """Why the state of alarms is not known."""


def states(names: tuple[str, ...], region: str) -> dict[str, str]:
    """The state of each alarm: OK, ALARM or INSUFFICIENT_DATA. AlarmError where one has none."""
    if not names:
        return {}
    url = metric_data.endpoint_url()
    if not url:
        raise AlarmError(
            "alarms need CloudWatch, and local SageMaker has been given none: set "
            f"{metric_data.ENDPOINTS[0]}"
        )
    try:
        client = boto3.client("cloudwatch", endpoint_url=url, region_name=region)
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer: Record = client.describe_alarms(AlarmNames=[*names], AlarmTypes=kinds)
    except (ClientError, BotoCoreError) as error:
        raise AlarmError(f"CloudWatch does not say how the alarms are: {error}") from error
    found = {}
    for alarm in [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]:
        found[alarm["AlarmName"]] = alarm["StateValue"]
    missing = [name for name in names if name not in found]
    if missing:
        raise AlarmError(f"CloudWatch has no alarm '{missing[0]}' in {region}")
    return found


def ringing(names: tuple[str, ...], region: str) -> str | None:
    """The first alarm that is in ALARM; None where none is. AlarmError as for `states`."""
    for name, state in states(names, region).items():
        if state == RINGS:
            return name
    return None
