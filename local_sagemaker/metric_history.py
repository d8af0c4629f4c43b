"""All values of the metrics of trainings, in the order in which they came, for the console.

A job's file has a line of JSON per value. It stays after a restart, as records and logs do.
"""

import json
from contextlib import suppress
from pathlib import Path

from artifact.text.json_text import read_json
from local_sagemaker.record import Record

MOST_BYTES = 2**20  # that are read of a file: its newest values


class MetricHistory:
    """One file per job, <folder>/<job>.jsonl."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, job: str, metric: Record) -> None:
        """Keep a value, as FinalMetricDataList has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path(job).open("a", encoding="utf-8") as file:
            file.write(json.dumps(metric) + "\n")

    def of_job(self, job: str) -> list[Record]:
        """The values of a job, the oldest first; of a very long history the newest."""
        try:
            with self._path(job).open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - MOST_BYTES))
                lines = file.read().split(b"\n")
        except FileNotFoundError:
            return []
        values = []
        for line in lines:
            # The first line may be half read, and one is half written where a server was killed.
            with suppress(ValueError):
                values.append(read_json(line))
        return values

    def forget(self, job: str) -> None:
        self._path(job).unlink(missing_ok=True)

    def _path(self, job: str) -> Path:
        return self._folder / f"{job}.jsonl"
