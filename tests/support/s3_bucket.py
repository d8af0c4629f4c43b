"""A bucket of S3 in memory, behind the methods of boto3's client that uploads call."""

import hashlib
import io
from typing import Any

from botocore.exceptions import ClientError


class Bucket:
    """A client of S3 that keeps objects by key; refused: keys that it does not delete."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[dict[str, Any]] = []
        self.deletions: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.missing = ClientError({"Error": {"Code": "NoSuchKey", "Message": "no"}}, "GetObject")

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        if Key not in self.objects:
            raise self.missing
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Body: Any, **request: Any) -> dict[str, str]:
        content = Body
        if not isinstance(Body, bytes):
            content = Body.read()
        self.requests.append(request)
        self.objects[request["Key"]] = content
        return {"ETag": etag(content)}

    def get_paginator(self, name: str) -> "Bucket":
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        """Two objects per page, and an empty page."""
        keys = [key for key in sorted(self.objects) if key.startswith(Prefix)]
        entries = [{"Key": key, "ETag": etag(self.objects[key])} for key in keys]
        pages = [{"Contents": entries[at : at + 2]} for at in range(0, len(entries), 2)]
        return [*pages, {}]

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        self.deletions.append(Delete)
        failed = []
        for entry in Delete["Objects"]:
            if entry["Key"] in self.refused:
                failed.append({"Key": entry["Key"], "Message": "Access Denied"})
            else:
                self.objects.pop(entry["Key"], None)
        return {"Errors": failed}


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'
