"""What the server remembers: a JSON file for each resource, so that a restart finds it again.

A file is written whole or not at all.
"""

import functools
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import botocore.exceptions
import botocore.session

from local_sagemaker.contract import ApiError
from local_sagemaker.record import Record

ACCOUNT = "123456789012"  # moto's own
LONGEST_TOKEN = 9  # digits; a token is the number of records before the page
# Filters that ask for what nothing here has: a warm pool, a plan, a managing service, a version.
FITS_NONE = ("WarmPoolStatusEquals", "TrainingPlanArnEquals", "ManagedBy", "PipelineVersionAlias")
OWNERS = "CrossAccountFilterOption"  # one account is all there is
PAGE = 10  # records of a page, where a request leaves MaxResults out, as documented


class Store:
    """Records by kind and name, below <folder>/<kind>/<name>.json.

    A record is the request that made it, and what became of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._records: dict[str, dict[str, Record]] = {}
        for path in sorted(folder.glob("*/*.json")):
            self._records.setdefault(path.parent.name, {})[path.stem] = json.loads(
                path.read_text(encoding="utf-8")
            )

    def find(self, kind: str, name: str) -> Record | None:
        """A copy of a record; None when there is none."""
        with self._lock:
            record = self._records.get(kind, {}).get(name)
            if record is None:
                return None
            return _copy(record)

    def all(self, kind: str) -> list[Record]:
        """Copies of all records of a kind."""
        with self._lock:
            return [_copy(record) for record in self._records.get(kind, {}).values()]

    def add(self, kind: str, name: str, record: Record, taken: ApiError) -> None:
        """A new record; raises `taken` when the name is in use."""
        with self._lock:
            if name in self._records.get(kind, {}):
                raise taken
            now = time.time()
            self._put(kind, name, {**record, "CreationTime": now, "LastModifiedTime": now})

    def change(self, kind: str, name: str, **fields: object) -> None:
        """Set fields of a record; None takes one away.

        Without the record nothing happens: it was deleted in the meantime.
        """
        with self.changing(kind, name) as record:
            for key, value in fields.items():
                record[key] = value
                if value is None:
                    record.pop(key)

    @contextmanager
    def changing(self, kind: str, name: str) -> Iterator[Record]:
        """A record to change in place; kept at the end."""
        with self._lock:
            record = self.find(kind, name)
            if record is None:
                yield {}  # what is set there is lost
                return
            yield record
            record["LastModifiedTime"] = time.time()
            self._put(kind, name, record)

    def remove(self, kind: str, name: str) -> None:
        with self._lock:
            self._records.get(kind, {}).pop(name, None)
            (self.folder / kind / f"{name}.json").unlink(missing_ok=True)

    def _put(self, kind: str, name: str, record: Record) -> None:
        # Names come from requests, and become names of files.
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,255}", name), name
        path = self.folder / kind / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_suffix(".tmp")
        written.write_text(json.dumps(record), encoding="utf-8")
        os.replace(written, path)  # at once, so that a kill leaves the old file or the new one
        self._records.setdefault(kind, {})[name] = record


def _copy(record: Record) -> Record:
    # Records are JSON; this also makes sure that what is remembered can be written.
    copy: Record = json.loads(json.dumps(record))
    return copy


def arn(region: str, resource: str, name: str) -> str:
    """As SageMaker would name it, in small letters, in the account that moto takes as its own."""
    return f"arn:{_partition(region)}:sagemaker:{region}:{ACCOUNT}:{resource}/{name.lower()}"


@functools.cache
def _partition(region: str) -> str:
    # aws, aws-cn for China, aws-us-gov
    try:
        return botocore.session.get_session().get_partition_for_region(region)
    except botocore.exceptions.UnknownRegionError:
        return "aws"


def page(
    records: list[Record],
    request: Record,
    name_field: str,
    status_field: str | None,
    default_order: str = "Descending",
) -> tuple[list[Record], str | None]:
    """The answer to a List operation: filtered, sorted, cut to a page; and the next one's token."""
    found = [record for record in records if _wanted(record, request, name_field, status_field)]
    if any(request.get(name) for name in FITS_NONE) or request.get(OWNERS) == "CrossAccount":
        found = []
    fields = {"Name": name_field, "Status": status_field or name_field}
    by = fields.get(request.get("SortBy", ""), "CreationTime")
    # The name decides between equal times, so that pages are stable.
    found.sort(
        key=lambda record: (record[by], record[name_field]),
        reverse=request.get("SortOrder", default_order) == "Descending",
    )
    return cut(found, request)


def cut(found: list[Record], request: Record) -> tuple[list[Record], str | None]:
    """A request's page of what was found, and the next one's token."""
    start = _number(request.get("NextToken"))
    size = request.get("MaxResults", PAGE)
    end = start + size
    token = None  # on the last page
    if end < len(found):
        token = str(end)
    return found[start:end], token


def _wanted(record: Record, request: Record, name_field: str, status_field: str | None) -> bool:
    """Whether a record fits the filters of a List operation."""
    name = request.get("NameContains")
    if name and name not in record[name_field]:
        return False
    status = request.get("StatusEquals")
    if status_field and status and record[status_field] != status:
        return False
    for field in ("CreationTime", "LastModifiedTime"):
        after = request.get(f"{field}After")
        if after is not None and record[field] < after:
            return False
        before = request.get(f"{field}Before")
        if before is not None and record[field] > before:
            return False
    return True


def _number(token: str | None) -> int:
    if token is None:
        return 0
    # isdigit() alone would take "²", which is no number to int().
    if not (token.isascii() and token.isdigit() and len(token) <= LONGEST_TOKEN):
        raise ApiError("ValidationException", "The provided pagination token is invalid.")
    return int(token)
