"""Where output goes: a file for each stream below <state>/logs, and CloudWatch Logs.

CloudWatch's endpoint must be set: by boto3's AWS_ENDPOINT_URL_CLOUDWATCH_LOGS, or else by
AWS_ENDPOINT_URL_LOGS or AWS_ENDPOINT_URL. The region is the job's.
"""

import logging
import os
import queue
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local_sagemaker.record import Record

log = logging.getLogger(__name__)
ENDPOINTS = ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "AWS_ENDPOINT_URL_LOGS", "AWS_ENDPOINT_URL")
BATCH = 500  # lines of one call; PutLogEvents allows 10,000
EVERY_S = 0.5  # the longest that a line waits for others of its batch
Where = tuple[str, str, str]  # region, group, stream
Queue = queue.Queue[tuple[Where, int, str]]  # stream, milliseconds since the epoch, line


class Logs:
    """All streams. One thread sends them on, so that no container waits for CloudWatch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._to_send: Queue = queue.Queue()
        # by region; boto3 makes a client's operations at run time
        self._clients: dict[str, Any] = {}
        self._url = next((os.environ[name] for name in ENDPOINTS if os.environ.get(name)), None)
        if self._url:
            threading.Thread(target=self._send_forever, daemon=True, name="logs").start()

    def stream(self, group: str, name: str, region: str) -> "Stream":
        """A new stream, such as TrainingJobs, myjob/algo-1-1700000000. region: the job's."""
        path = self._folder / group / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        where = (region, f"/aws/sagemaker/{group}", name)
        if not self._url:
            return Stream(path, where, None)
        return Stream(path, where, self._to_send)

    def flush(self, timeout_s: float = 5.0) -> None:
        """Wait until CloudWatch has what was written until now."""
        deadline = time.monotonic() + timeout_s
        while self._url and self._to_send.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.02)

    def _send_forever(self) -> None:
        made: set[Where] = set()
        while True:
            items = [self._to_send.get()]  # waits for the first line
            deadline = time.monotonic() + EVERY_S
            while len(items) < BATCH and not self._to_send.empty() and time.monotonic() < deadline:
                items.append(self._to_send.get())
            streams: dict[Where, list[Record]] = {}
            # CloudWatch refuses empty messages, so that an empty line becomes a space.
            for where, when_ms, line in items:
                streams.setdefault(where, []).append({"timestamp": when_ms, "message": line or " "})
            for where, events in streams.items():
                self._send(where, events, made)
            for _ in items:
                self._to_send.task_done()

    def _send(self, where: Where, events: list[Record], made: set[Where]) -> None:
        region, group, name = where
        try:
            if region not in self._clients:
                self._clients[region] = boto3.client(
                    "logs", endpoint_url=self._url, region_name=region
                )
            client = self._clients[region]
            if where not in made:
                # An earlier run of this server may have made them.
                exists = client.exceptions.ResourceAlreadyExistsException
                with suppress(exists):
                    client.create_log_group(logGroupName=group)
                with suppress(exists):
                    client.create_log_stream(logGroupName=group, logStreamName=name)
                made.add(where)
            client.put_log_events(logGroupName=group, logStreamName=name, logEvents=events)
        except (ClientError, BotoCoreError) as error:
            log.warning(
                "logs: CloudWatch did not take %d lines of %s: %s", len(events), name, error
            )


class Stream:
    """One stream: lines of one container."""

    def __init__(self, path: Path, where: Where, to_send: Queue | None) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._where = where
        self._to_send = to_send

    def line(self, text: str) -> None:
        if self._file.closed:  # the last lines may come after the end of a job
            return
        self._file.write(text + "\n")
        self._file.flush()  # for whoever follows the file
        if self._to_send is not None:
            self._to_send.put((self._where, int(time.time() * 1000), text))

    def close(self) -> None:
        self._file.close()
