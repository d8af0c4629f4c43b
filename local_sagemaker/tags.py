"""Tags by ARN: AddTags, ListTags, DeleteTags."""

import hashlib
from contextlib import AbstractContextManager

from local_sagemaker.contract import ApiError, invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

KIND = "tags"
MOST = 50  # tags of one resource: AddTags


def add_tagged(
    platform: Platform, kind: str, name: str, record: Record, arn: str, taken: ApiError
) -> None:
    """Keep a new resource's record and the tags of its request; raises `taken` as Store.add."""
    platform.store.add(kind, name, record, taken)
    set_all(platform, arn, record.get("Tags", []))


def set_all(platform: Platform, arn: str, given: list[Record]) -> None:
    """The tags that a resource is made with."""
    forget(platform, arn)
    taken = invalid("the tags are there already")
    platform.store.add(KIND, _key(arn), {"Arn": arn, "Tags": given}, taken)


def forget(platform: Platform, arn: str) -> None:
    platform.store.remove(KIND, _key(arn))


def add(platform: Platform, request: Record, region: str) -> Record:
    with _held(platform, request["ResourceArn"]) as record:
        tags = {tag["Key"]: tag["Value"] for tag in record["Tags"] + request["Tags"]}
        if len(tags) > MOST:
            raise invalid(f"A resource can have at most {MOST} tags; this would make {len(tags)}")
        record["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"Tags": record["Tags"]}


def list_tags(platform: Platform, request: Record, region: str) -> Record:
    with _held(platform, request["ResourceArn"]) as record:
        return {"Tags": record["Tags"]}


def of(platform: Platform, arn: str) -> list[Record]:
    """A resource's tags; none where it has none."""
    record = platform.store.find(KIND, _key(arn))
    tags: list[Record] = [] if record is None else record["Tags"]
    return tags


def delete(platform: Platform, request: Record, region: str) -> Record:
    with _held(platform, request["ResourceArn"]) as record:
        record["Tags"] = [tag for tag in record["Tags"] if tag["Key"] not in request["TagKeys"]]
    return {}


def _held(platform: Platform, arn: str) -> AbstractContextManager[Record]:
    if platform.store.find(KIND, _key(arn)) is None:
        raise invalid(f"The request was rejected because the resource does not exist: {arn}")
    return platform.store.changing(KIND, _key(arn))


def _key(arn: str) -> str:
    # An ARN has colons and slashes, which a record's name must not have.
    return hashlib.sha256(arn.encode()).hexdigest()[:32]


OPERATIONS = {"AddTags": add, "ListTags": list_tags, "DeleteTags": delete}
