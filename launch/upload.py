"""Channels to S3: many files at once, each with its SHA-256 checked by S3, and only those that changed.

What was uploaded is listed in a manifest beside the data (`data/<channel>.json`), never inside a channel, where trainings would read it.
"""

import base64
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from launch.errors import LaunchError, is_missing

THREADS = 16
LARGEST = 5 * 1024**3  # bytes of one PutObject
PROGRESS_S = 5.0


@dataclass(frozen=True)
class File:
    """A file of a channel: its name below the channel, size in bytes, SHA-256 in hex."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass
class Plan:
    """What differs between a folder and S3."""

    put: list[File] = field(default_factory=list)
    delete: list[str] = field(
        default_factory=list
    )  # names of what an earlier upload put and the folder no longer has
    same: list[File] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.put)


def files_of(folder: Path) -> list[File]:
    """A channel's files, by name, hidden ones left out. LaunchError where there are none, or one is too large."""
    folder = Path(folder)
    if not folder.is_dir():
        raise LaunchError(
            f"there is no folder '{folder}' for a channel; run `python -m prepare`, or set sagemaker.channels"
        )
    paths = sorted(
        Path(parent) / name
        for parent, folders, names in os.walk(folder, followlinks=True)
        for name in names
    )
    paths = [
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not paths:
        raise LaunchError(f"the folder '{folder}' of a channel holds no files")
    with ThreadPoolExecutor(THREADS) as readers:
        sums = list(readers.map(sha256_of, paths))
    found = [
        File(path.relative_to(folder).as_posix(), path, path.stat().st_size, one)
        for path, one in zip(paths, sums, strict=True)
    ]
    large = next((file for file in found if file.size > LARGEST), None)
    if large:
        raise LaunchError(
            f"'{large.path}' has {large.size / 1e9:.1f} GB; a file of a channel may have 5 GB"
        )
    return found


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare(files: list[File], manifest: dict[str, dict], objects: dict[str, str]) -> Plan:
    """What to do. manifest: name to {"sha256", "etag"} of earlier uploads; objects: name to ETag of what lies in S3 now.

    LaunchError when S3 holds what no upload of ours put there: a training would read it.
    """
    plan = Plan()
    for file in files:
        known = manifest.get(file.name, {})
        same = known.get("sha256") == file.sha256 and objects.get(file.name) == known.get(
            "etag", ""
        )
        (plan.same if same else plan.put).append(file)
    gone = set(objects) - {file.name for file in files}
    foreign = sorted(gone - set(manifest))
    if foreign:
        raise LaunchError(
            f"S3 holds {len(foreign)} object(s) in this channel that no upload put there, such as '{foreign[0]}'; "
            "remove them, or set another sagemaker.prefix"
        )
    plan.delete = sorted(gone)
    return plan


class Channel:
    """One channel's place in S3. key: prefix of its objects, with a slash at the end."""

    def __init__(self, client, bucket: str, key: str, kms_key: str = ""):
        self.client, self.bucket, self.key, self.kms_key = client, bucket, key, kms_key
        self.manifest_key = f"{key.rstrip('/')}.json"

    def manifest(self) -> dict[str, dict]:
        """What earlier uploads put, by name; empty before the first."""
        try:
            return json.load(
                self.client.get_object(Bucket=self.bucket, Key=self.manifest_key)["Body"]
            )["files"]
        except Exception as error:
            if is_missing(error) and "bucket" not in str(error).lower():
                return {}
            raise

    def objects(self) -> dict[str, str]:
        """ETag by name of all that lies there."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=self.key
        )
        return {
            entry["Key"].removeprefix(self.key): entry["ETag"]
            for page in pages
            for entry in page.get("Contents", [])
        }

    def put_request(self, file: File) -> dict:
        """PutObject, but for the body. S3 refuses bytes of another checksum."""
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        )
        checksum = base64.b64encode(bytes.fromhex(file.sha256)).decode()
        return {
            "Bucket": self.bucket,
            "Key": self.key + file.name,
            "ContentLength": file.size,
            "ChecksumSHA256": checksum,
            **encryption,
        }

    def put(self, file: File) -> str:
        """Send a file; its ETag."""
        with open(file.path, "rb") as body:
            return self.client.put_object(**self.put_request(file), Body=body)["ETag"]

    def write_manifest(self, entries: dict[str, dict]) -> None:
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        )
        self.client.put_object(
            Bucket=self.bucket,
            Key=self.manifest_key,
            Body=json.dumps({"format_version": 1, "files": entries}).encode(),
            **encryption,
        )

    def delete(self, names: list[str]) -> None:
        for start in range(0, len(names), 1000):
            part = [{"Key": self.key + name} for name in names[start : start + 1000]]
            failed = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": part, "Quiet": True}
            ).get("Errors", [])
            if failed:
                raise LaunchError(
                    f"S3 did not delete '{failed[0].get('Key')}': {failed[0].get('Message')}"
                )


def upload(
    channel: Channel, files: list[File], print_line: Callable[[str], None], name: str
) -> Plan:
    """Bring a channel's place in S3 to what the folder holds. What was sent stays known even when it is interrupted."""
    manifest = channel.manifest()
    plan = compare(files, manifest, channel.objects())
    known = {file.name: manifest[file.name] for file in plan.same}
    print_line(
        f"upload: {name}: {len(plan.put)} new or changed ({plan.size / 1e6:.1f} MB), {len(plan.same)} as they are, {len(plan.delete)} to remove"
    )
    if not plan.put and not plan.delete:
        return plan
    stop, started = threading.Event(), time.monotonic()

    def send(file: File) -> tuple[File, str] | None:
        return None if stop.is_set() else (file, channel.put(file))

    pool = ThreadPoolExecutor(THREADS)
    try:
        waiting, told, sent = [pool.submit(send, file) for file in plan.put], started, 0
        for done in as_completed(waiting):
            file, etag = done.result()
            known[file.name] = {"sha256": file.sha256, "etag": etag}
            sent += file.size
            if time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                print_line(
                    f"upload: {name}: {sent / 1e6:.1f} of {plan.size / 1e6:.1f} MB, {sent / 1e6 / (told - started):.1f} MB/s"
                )
        channel.delete(plan.delete)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        left = {
            entry: manifest[entry] for entry in plan.delete
        }  # until they are known to be gone, ours
        channel.write_manifest(known if len(known) == len(files) else {**left, **known})
    return plan
