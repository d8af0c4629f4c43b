"""The metrics of trainings, value by value, to CloudWatch, where TrainingJobAnalytics asks.

CloudWatch's endpoint must be set, by AWS_ENDPOINT_URL_CLOUDWATCH or AWS_ENDPOINT_URL. Real metrics
cost money, so that without an endpoint nothing is sent.
"""

import logging
import os
import queue
import threading
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_sagemaker.record import Record

log = logging.getLogger(__name__)
ENDPOINTS = ("AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL")
# Source: sagemaker-python-sdk, TrainingJobAnalytics.
NAMESPACE = "/aws/sagemaker/TrainingJobs"
DIMENSION = "TrainingJobName"
BATCH = 500  # values of one call; PutMetricData allows 1,000


def endpoint_url() -> str | None:
    """Where CloudWatch is; None where no endpoint is set."""
    return next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)


class MetricData:
    """What is to be sent. One thread sends it, so that no training waits for CloudWatch."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[str, Record]] = queue.Queue()
        self._clients: dict[str, Any] = {}  # by region
        self._url = endpoint_url()
        if self._url:
            threading.Thread(target=self._send_forever, daemon=True, name="metrics").start()

    def put(self, region: str, job: str, metric: Record) -> None:
        """Send a value of a training's metric, as FinalMetricDataList has it."""
        if self._url:
            dimensions = [{"Name": DIMENSION, "Value": job}]
            self._waiting.put((region, {**metric, "Dimensions": dimensions}))

    def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until CloudWatch has what came until now."""
        deadline = time.monotonic() + timeout_s
        while self._url and self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.02)

    def _send_forever(self) -> None:
        while True:
            items = [self._waiting.get()]  # waits for the first value
            while len(items) < BATCH and not self._waiting.empty():
                items.append(self._waiting.get())
            for region in {region for region, _ in items}:
                self._send(region, [value for where, value in items if where == region])
            for _ in items:
                self._waiting.task_done()

    def _send(self, region: str, values: list[Record]) -> None:
        try:
            if region not in self._clients:
                self._clients[region] = boto3.client(
                    "cloudwatch", endpoint_url=self._url, region_name=region
                )
            self._clients[region].put_metric_data(Namespace=NAMESPACE, MetricData=values)
        except (ClientError, BotoCoreError) as error:
            log.warning("metrics: CloudWatch did not take %d values: %s", len(values), error)
