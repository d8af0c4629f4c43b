"""Channels to S3: several files at once, each with its SHA-256 checked by S3, only changed ones.

The list of the uploaded files lies beside the data (`data/<channel>.json`), never inside a
channel, where trainings would read it.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path

from artifact.text.json_text import read_json
from launch.aws import AwsClient, Request
from launch.bucket_owners import check_bucket
from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing
from launch.requests_training import bucket, prefix, s3_encryption
from launch.threads import threads
from launch.upload_progress import CountedFile, Progress
from launch.visible_files import visible_files
from recipes.terminal import Bar

THREADS = 16
# Bytes of one PutObject.
LARGEST = 5 * 1024**3
# Keys of one DeleteObjects.
MOST_KEYS = 1000
NOTE_S = 20.0  # between two writings of the manifest while files are sent
# By file name: "sha256" in hex, and S3's "etag".
Manifest = dict[str, dict[str, str]]


@dataclass(frozen=True)
class File:
    """A file of a channel: its name below the channel, size in bytes, SHA-256 in hex."""

    name: str
    path: Path
    size: int
    sha256: str


@dataclass
class Plan:
    """The difference between a folder and S3."""

    put: list[File] = field(default_factory=list)
    # Names that an earlier upload put, and that the folder no longer has.
    delete: list[str] = field(default_factory=list)
    same: list[File] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(file.size for file in self.put)


def files_of(folder: Path) -> list[File]:
    """A channel's files by name, without hidden ones. LaunchError for none, or too large ones."""
    folder = Path(folder)
    if not folder.is_dir():
        raise LaunchError(
            f"the folder '{folder}' of a channel does not exist; "
            "run `python -m prepare`, or set sagemaker.channels"
        )
    paths = visible_files(folder)
    if not paths:
        raise LaunchError(f"the folder '{folder}' of a channel holds no files")
    for path in paths:
        size = path.stat().st_size
        if size > LARGEST:
            raise LaunchError(
                f"'{path}' has {size / 1e9:.1f} GB; a file of a channel may have 5 GB"
            )
    with threads(THREADS) as readers:
        sums = list(readers.map(sha256_of, paths))
    found = []
    for path, checksum in zip(paths, sums, strict=True):
        name = path.relative_to(folder).as_posix()
        found.append(File(name, path, path.stat().st_size, checksum))
    return found


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare(files: list[File], manifest: Manifest, objects: dict[str, str]) -> Plan:
    """The plan of an upload. manifest: of earlier uploads. objects: ETag by name in S3 now.

    LaunchError when S3 holds an object of no upload: a training would read it.
    """
    plan = Plan()
    for file in files:
        known = manifest.get(file.name, {})
        same_content = known.get("sha256") == file.sha256
        # Another program may have replaced the object since.
        same_object = objects.get(file.name) == known.get("etag", "")
        if same_content and same_object:
            plan.same.append(file)
        else:
            plan.put.append(file)
    superfluous = set(objects) - {file.name for file in files}
    foreign = sorted(superfluous - set(manifest))
    if foreign:
        raise LaunchError(
            f"S3 holds {len(foreign)} object(s) in this channel that no upload put there, "
            f"such as '{foreign[0]}'; remove them, or set another sagemaker.prefix"
        )
    plan.delete = sorted(superfluous)
    return plan


class Channel:
    """One channel in S3. key: prefix of its objects, with a slash at the end."""

    def __init__(self, client: AwsClient, bucket: str, key: str, kms_key: str = ""):
        self.client = client
        self.bucket = bucket
        self.key = key
        self.kms_key = kms_key
        self.manifest_key = f"{key.rstrip('/')}.json"

    def manifest(self) -> Manifest:
        """The files of earlier uploads; empty before the first."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=self.manifest_key)
        except Exception as error:
            # A missing bucket is the user's mistake; a missing manifest is the first upload.
            if is_missing(error) and "bucket" not in str(error).lower():
                return {}
            raise
        try:
            files: Manifest = read_json(answer["Body"].read())["files"]
            if not all(isinstance(entry, dict) for entry in files.values()):
                raise ValueError("one of its files is no object")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise LaunchError(
                f"s3://{self.bucket}/{self.manifest_key} is no list of an upload ({error}); remove "
                f"it and the objects below s3://{self.bucket}/{self.key}, then upload again"
            ) from error
        return files

    def objects(self) -> dict[str, str]:
        """ETag by name of all objects of the channel."""
        found = {}
        paginator = self.client.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=self.bucket, Prefix=self.key):
            for entry in page.get("Contents", []):
                found[entry["Key"].removeprefix(self.key)] = entry["ETag"]
        return found

    def put_request(self, file: File) -> Request:
        """PutObject, without the body. S3 refuses a body with another checksum."""
        checksum = base64.b64encode(bytes.fromhex(file.sha256)).decode()
        return {
            "Bucket": self.bucket,
            "Key": self.key + file.name,
            "ContentLength": file.size,
            "ChecksumSHA256": checksum,
            **s3_encryption(self.kms_key),
        }

    def put(self, file: File, progress: Progress | None = None) -> str:
        """Send a file; its ETag. progress: counts its bytes."""
        with open(file.path, "rb") as opened:
            body: object = opened
            if progress is not None:
                body = CountedFile(opened, progress)
            answer = self.client.put_object(**self.put_request(file), Body=body)
        return str(answer["ETag"])

    def write_manifest(self, entries: Manifest) -> None:
        self.client.put_object(
            Bucket=self.bucket,
            Key=self.manifest_key,
            Body=json.dumps({"format_version": 1, "files": entries}).encode(),
            **s3_encryption(self.kms_key),
        )

    def delete(self, names: list[str]) -> int:
        """Remove objects; of how many a versioned bucket keeps what they were.

        LaunchError for one that S3 did not remove.
        """
        kept = 0
        for start in range(0, len(names), MOST_KEYS):
            part = [{"Key": self.key + name} for name in names[start : start + MOST_KEYS]]
            answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": part})
            kept += sum(bool(gone.get("DeleteMarker")) for gone in answer.get("Deleted", []))
            for failed in answer.get("Errors", []):
                raise LaunchError(
                    f"S3 did not delete '{failed.get('Key')}': {failed.get('Message')}"
                )
        return kept


def upload(
    channel: Channel, files: list[File], print_line: Callable[[str], None], name: str
) -> Plan:
    """Make a channel in S3 equal to the folder. An interruption forgets no file that was sent."""
    manifest = channel.manifest()
    plan = compare(files, manifest, channel.objects())
    print_line(
        f"upload: {name}: {len(plan.put)} new or changed ({plan.size / 1e6:.1f} MB), "
        f"{len(plan.same)} as they are, {len(plan.delete)} to remove"
    )
    if not plan.put and not plan.delete:
        return plan
    announce(channel, manifest, plan)
    known = {file.name: manifest[file.name] for file in plan.same}
    try:
        send_all(channel, plan, known, print_line, name)
        channel.delete(plan.delete)
    finally:
        entries = known
        if len(known) < len(files):
            # Interrupted: the objects to remove may still be there, and they are ours. So are those
            # that S3 has got meanwhile.
            entries = {**{old: manifest[old] for old in plan.delete}, **coming(plan), **known}
        channel.write_manifest(entries)
    return plan


def announce(channel: Channel, manifest: Manifest, plan: Plan) -> None:
    """Note the files that will be sent, before they are.

    After a kill or a loss of power they are then known for ours, and are sent again; the content
    of those that S3 had is still in the manifest.
    """
    if plan.put:
        channel.write_manifest({**manifest, **coming(plan)})


def coming(plan: Plan) -> Manifest:
    """Entries of the files that are sent, or are being sent: S3's own checksum is not known yet."""
    return {file.name: {"sha256": file.sha256, "etag": ""} for file in plan.put}


def send_all(
    channel: Channel,
    plan: Plan,
    known: Manifest,
    print_line: Callable[[str], None],
    name: str,
) -> None:
    """Send the plan's files; each one is added to `known` as soon as S3 has it.

    The manifest is written every NOTE_S seconds, so that a kill costs no more than those.
    """
    with Bar() as bar:
        _send_all(channel, plan, known, Progress(name, plan.size, print_line, bar))


def _send_all(channel: Channel, plan: Plan, known: Manifest, progress: Progress) -> None:
    noted = time.monotonic()

    def send(file: File) -> tuple[File, str]:
        return file, channel.put(file, progress)

    with threads(THREADS) as pool:
        waiting = [pool.submit(send, file) for file in plan.put]
        for done in as_completed(waiting):
            file, etag = done.result()
            known[file.name] = {"sha256": file.sha256, "etag": etag}
            if time.monotonic() - noted >= NOTE_S:
                noted = time.monotonic()
                removed = {old: {"sha256": "", "etag": ""} for old in plan.delete}
                channel.write_manifest({**removed, **coming(plan), **known})


def channel_below(context: LaunchContext, folder: str) -> Channel:
    """A folder below the recipe's prefix in its bucket; in a dry run without a client."""
    client = None
    name = bucket(context.recipe, context.location)
    if not context.dry:
        check_bucket(context, name)
        client = context.client("s3")
    key = f"{prefix(context.recipe)}/{folder}/"
    kms_key = context.recipe.sagemaker.kms_key
    return Channel(client, name, key, kms_key)
