"""Messages to the SNS topics of an asynchronous endpoint: which request is done, or has failed.

Source: "Check prediction results" of asynchronous inference in SageMaker's developer guide.
SNS is the one that AWS_ENDPOINT_URL names.
"""

import datetime
import json
import logging
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_sagemaker.hosting.async_request import Asked
from local_sagemaker.hosting.fleet import Fleet
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
EVENT = {
    "eventVersion": "1.0",
    "eventSource": "aws:sagemaker",
    "eventName": "InferenceResult",
}


def succeeded(fleet: Fleet, asked: Asked, content_type: str) -> None:
    """To the SuccessTopic, where the endpoint has one. content_type: of the answer."""
    response = {"contentType": content_type, "outputLocation": asked.where}
    _send(fleet, "SuccessTopic", asked, {"invocationStatus": "Completed"} | _of(response))


def failed(fleet: Fleet, asked: Asked, reason: str) -> None:
    """To the ErrorTopic, where the endpoint has one."""
    status = {"invocationStatus": "Failed", "failureReason": reason}
    response = {}
    if asked.failure:
        response = _of({"failureLocation": asked.failure})
    _send(fleet, "ErrorTopic", asked, status | response)


def _of(response: Record) -> Record:
    return {"responseParameters": response}


def _send(fleet: Fleet, name: str, asked: Asked, result: Record) -> None:
    """A message to the topic of this name; a topic that does not take it is only logged."""
    output = fleet.config.get("AsyncInferenceConfig", {}).get("OutputConfig", {})
    topic: str | None = output.get("NotificationConfig", {}).get(name)
    if not topic:
        return
    region = topic.split(":")[3]
    request = {"endpointName": fleet.endpoint, "inputLocation": asked.source}
    if asked.header("content-type"):
        request["contentType"] = asked.header("content-type")
    message = {
        **EVENT,
        "awsRegion": region,
        "eventTime": datetime.datetime.now(datetime.UTC).isoformat(),
        "receivedTime": datetime.datetime.fromtimestamp(asked.received_s, datetime.UTC).isoformat(),
        "inferenceId": asked.inference_id,
        "requestParameters": request,
        **result,
    }
    try:
        sns: Any = boto3.client("sns", region_name=region)
        sns.publish(TopicArn=topic, Message=json.dumps(message))
    except (ClientError, BotoCoreError) as error:
        log.warning("endpoint %s: '%s' was not told: %s", fleet.endpoint, topic, error)
