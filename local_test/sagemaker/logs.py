"""Where output goes: a file for each stream below <state>/logs, and CloudWatch Logs where its endpoint is set.

AWS_ENDPOINT_URL_CLOUDWATCH_LOGS is boto3's name for that; AWS_ENDPOINT_URL_LOGS and AWS_ENDPOINT_URL count as well.
"""

import logging
import os
import queue
import threading
import time
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_test.sagemaker.objects import own_region

log = logging.getLogger(__name__)
ENDPOINTS = ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL_LOGS", "AWS_ENDPOINT_URL")
BATCH, EVERY_S = 500, 0.5


class Logs:
    """All streams. One thread sends them on, so that no container waits for CloudWatch."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._to_send: queue.Queue = queue.Queue()
        self._client = None
        if url := next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None):
            self._client = boto3.client("logs", endpoint_url=url, region_name=own_region())
            threading.Thread(target=self._send_forever, daemon=True, name="logs").start()

    def stream(self, group: str, name: str) -> "Stream":
        """A new stream, such as TrainingJobs, myjob/algo-1-1700000000."""
        path = self._folder / group / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        return Stream(path, f"/aws/sagemaker/{group}", name, self._to_send if self._client else None)

    def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until CloudWatch has what was written until now."""
        deadline = time.monotonic() + timeout_s
        while self._client and self._to_send.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.02)

    def _send_forever(self) -> None:
        made: set[tuple[str, str]] = set()
        while True:
            items = [self._to_send.get()]
            deadline = time.monotonic() + EVERY_S
            while len(items) < BATCH and not self._to_send.empty() and time.monotonic() < deadline:
                items.append(self._to_send.get())
            streams: dict[tuple[str, str], list[dict]] = {}
            for group, name, when_ms, line in items:
                streams.setdefault((group, name), []).append({"timestamp": when_ms, "message": line or " "})
            for (group, name), events in streams.items():
                self._send(group, name, events, made)
            for _ in items:
                self._to_send.task_done()

    def _send(self, group: str, name: str, events: list[dict], made: set[tuple[str, str]]) -> None:
        try:
            if (group, name) not in made:
                for make, arguments in ((self._client.create_log_group, {}), (self._client.create_log_stream, {"logStreamName": name})):
                    try:
                        make(logGroupName=group, **arguments)
                    except self._client.exceptions.ResourceAlreadyExistsException:
                        pass
                made.add((group, name))
            self._client.put_log_events(logGroupName=group, logStreamName=name, logEvents=events)
        except (ClientError, BotoCoreError) as error:
            log.warning("logs: CloudWatch did not take %d lines of %s: %s", len(events), name, error)


class Stream:
    """One stream: lines of one container."""

    def __init__(self, path: Path, group: str, name: str, to_send: queue.Queue | None):
        self._file = path.open("a", encoding="utf-8")
        self._group, self._name, self._to_send = group, name, to_send

    def line(self, text: str) -> None:
        if self._file.closed:
            return
        self._file.write(text + "\n")
        self._file.flush()
        if self._to_send is not None:
            self._to_send.put((self._group, self._name, int(time.time() * 1000), text))

    def close(self) -> None:
        self._file.close()
