"""What data capture wrote: photos and their answers, the newest first.

SageMaker keeps a file of JSON lines below ENDPOINT/VARIANT/yyyy/mm/dd/hh/, one line a request. It
knows nothing of models.
"""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from artifact.photos.kinds import KINDS
from artifact.text.base64_text import bytes_of
from artifact.text.json_text import read_json
from artifact.text.names import printable
from launch.aws import AwsClient

FILE_BYTES = 256_000_000  # of one file of captures
JSON_TYPE = "application/json"
SHOWN = 100  # characters of a capture's type or time
MOST_REASONS = 20  # that are told apart
PHOTO_TYPES = frozenset(
    {"application/x-image", "application/octet-stream"}.union(*(kind.media_types for kind in KINDS))
)


@dataclass(frozen=True)
class Captured:
    """A photo that the endpoint was asked for, and its answer; {} where that was not captured."""

    photo: bytes
    answer: dict[str, Any]  # Any: the endpoint's JSON
    time: str  # ISO 8601; "" where the capture has none


@dataclass
class Captures:
    """The photos of an endpoint, as they are read, and what was passed by, by reason."""

    client: AwsClient
    bucket: str
    prefix: str  # of the endpoint's captures, with a slash at its end
    passed_by: Counter[str] = field(default_factory=Counter)

    def newest(self) -> Iterator[Captured]:
        """All photos, file by file from the newest; within a file the last line first."""
        for key in self._keys(self.prefix):
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
            if answer["ContentLength"] > FILE_BYTES:
                self._pass_by(f"in a file of more than {FILE_BYTES / 1e6:g} MB")
                continue
            for line in reversed(answer["Body"].read().splitlines()):
                if line.strip():
                    yield from self._photos(line)

    def _pass_by(self, reason: str) -> None:
        """Count what is no photo; reasons that quote a capture may be many."""
        if reason not in self.passed_by and len(self.passed_by) >= MOST_REASONS:
            reason = "for other reasons"
        self.passed_by[reason] += 1

    def _keys(self, prefix: str) -> Iterator[str]:
        """All objects under a prefix, the newest first: the names of its folders are times."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, Delimiter="/"
        )
        folders: list[str] = []
        keys: list[str] = []
        for page in pages:
            folders += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
            keys += [entry["Key"] for entry in page.get("Contents", [])]
        yield from (key for key in sorted(keys, reverse=True) if not key.endswith("/"))
        for folder in sorted(folders, reverse=True):
            yield from self._keys(folder)

    def _photos(self, line: bytes) -> Iterator[Captured]:
        """Those of one request; none where it holds none, or not as it should."""
        try:
            event = _json_of(line)
            data = event["captureData"]
            moment = str(event.get("eventMetadata", {}).get("inferenceTime", ""))[:SHOWN]
            if "endpointInput" not in data:
                raise ValueError("without its request: capture has the mode Output alone")
            photos = _sent(data["endpointInput"])
            answers = _answered(data.get("endpointOutput"))
        except (KeyError, TypeError, AttributeError):
            self._pass_by("not in the form of data capture")
            return
        except ValueError as error:
            self._pass_by(str(error))
            return
        if len(answers) != len(photos):
            answers = [{}] * len(photos)
        for photo, answer in zip(photos, answers, strict=True):
            yield Captured(photo, answer, moment)


def _json_of(line: bytes) -> Any:
    """A line's JSON. ValueError, with a reason for `passed_by`, where it is none."""
    try:
        return read_json(line)
    except ValueError as error:
        raise ValueError("not in JSON that can be read") from error


def _body(part: dict[str, Any]) -> bytes:
    """The body of a request or an answer. ValueError for a broken one."""
    if part["encoding"] == "BASE64":
        try:
            return base64.b64decode(part["data"], validate=True)
        except ValueError as error:
            raise ValueError("with data that is not base64") from error
    return str(part["data"]).encode("utf-8", "replace")


def _sent(part: dict[str, Any]) -> list[bytes]:
    """The encoded photos of a request. ValueError for another kind of request."""
    kind = str(part["observedContentType"]).partition(";")[0].strip().lower()
    if kind in PHOTO_TYPES:
        return [_body(part)]
    if kind != JSON_TYPE:
        raise ValueError(f"of the type '{printable(kind[:SHOWN])}'")
    try:
        document = read_json(_body(part))
        instances = document
        if isinstance(document, dict):
            instances = document.get("instances", [document])
        texts = [one["b64"] if isinstance(one, dict) else one for one in instances]
        return [bytes_of(text) for text in texts]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("with JSON that holds no photos") from error


def _answered(part: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The predictions of an answer; none where it was not captured, or is not of slipway-serve."""
    if part is None:
        return []
    try:
        predictions = read_json(_body(part))["predictions"]
        return [one if isinstance(one, dict) else {} for one in predictions]
    except (ValueError, KeyError, TypeError):
        return []
