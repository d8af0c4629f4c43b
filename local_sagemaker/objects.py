"""Files from and to S3, or folders of this machine in its place (file:///folder, /folder).

S3 is whatever boto3 finds: with AWS_ENDPOINT_URL_S3 set, moto's server or another that speaks S3.
Folders must lie below a root of this server's (folders.py).
"""

import functools
import mimetypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from local_sagemaker.folders import SCHEME, is_folder, path_of
from runtime import job_tree

UNKNOWN_TYPE = "application/octet-stream"


class ObjectError(Exception):
    """An object or prefix that cannot be read or written; the text says which and why."""


def listed(uri: str) -> list[str]:
    """The URIs of all files below a folder, or of all objects with a prefix; sorted.

    ObjectError when it cannot be read.
    """
    with _object_errors(uri):
        if is_folder(uri):
            return _files(uri)
        bucket, prefix = _parts(uri)
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys: list[str] = []
        for answer in pages:
            keys += [entry["Key"] for entry in answer.get("Contents", [])]
    # S3's console makes empty objects such as "photos/" for folders.
    return [f"s3://{bucket}/{key}" for key in keys if not key.endswith("/")]


def _files(uri: str) -> list[str]:
    """The files below a folder, under the folder's name as the URI has it."""
    real = path_of(uri)
    start = uri.removeprefix(SCHEME).rstrip("/")
    if real.is_file():
        return [f"{SCHEME}{start}"]
    names = sorted(part.relative_to(real) for part in real.rglob("*") if part.is_file())
    return [f"{SCHEME}{start}/{name}" for name in names]


def relative(uri: str, prefix: str) -> str:
    """The part of an object's name that SageMaker keeps below the folder of a prefix."""
    name = _name(uri)
    start = _name(prefix)
    if name == start:
        return name.rsplit("/", 1)[-1]
    folder = start
    if not folder.endswith("/"):
        folder += "/"
    if name.startswith(folder):
        return name.removeprefix(folder)
    # A prefix need not end at a slash: "data/tr" has "data/train/a.jpg", kept as "train/a.jpg".
    return name[start.rfind("/") + 1 :]


def read(uri: str) -> bytes:
    with _object_errors(uri):
        if is_folder(uri):
            path = path_of(uri)
            if path.is_fifo():  # opening it would wait for ever
                raise PermissionError(f"'{path}' is no ordinary file")
            return path.read_bytes()
        bucket, key = _parts(uri)
        content: bytes = _client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return content


def media_type(uri: str) -> str:
    """The type that an object was put with; application/octet-stream where nobody said one."""
    with _object_errors(uri):
        if is_folder(uri):
            return mimetypes.guess_type(path_of(uri))[0] or UNKNOWN_TYPE
        bucket, key = _parts(uri)
        found: str = _client().head_object(Bucket=bucket, Key=key)["ContentType"]
    if found == "binary/octet-stream":  # S3's own word for no type
        return UNKNOWN_TYPE
    return found


def write(uri: str, content: bytes) -> None:
    with _object_errors(uri):
        if is_folder(uri):
            path_of(uri).parent.mkdir(parents=True, exist_ok=True)
            path_of(uri).write_bytes(content)
            return
        bucket, key = _parts(uri)
        _client().put_object(Bucket=bucket, Key=key, Body=content)


def fetch(uri: str, file: Path) -> None:
    """Copy one object into a file."""
    with _object_errors(uri):
        # another object's name may be that of the folder
        file.parent.mkdir(parents=True, exist_ok=True)
        if not is_folder(uri):
            bucket, key = _parts(uri)
            _client().download_file(bucket, key, str(file))
            return
        shutil.copy2(path_of(uri), file)


def put(root: Path, name: str | Path, uri: str) -> None:
    """One file of a job's tree to an object; never one outside, where the name is a link."""
    with _object_errors(uri), job_tree.open_inside(root, name) as content:
        if is_folder(uri):
            target = path_of(uri)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as copy:
                shutil.copyfileobj(content, copy)
            return
        bucket, key = _parts(uri)
        _client().upload_fileobj(content, bucket, key)


def remove(uri: str) -> None:
    with _object_errors(uri):
        if is_folder(uri):
            path_of(uri).unlink(missing_ok=True)
            return
        bucket, key = _parts(uri)
        _client().delete_object(Bucket=bucket, Key=key)


def fetch_all(uri: str, folder: Path) -> int:
    """Everything below a prefix into a folder, under the names below the prefix; the count."""
    names = listed(uri)
    for name in names:
        target = folder / relative(name, uri)
        # S3 allows names such as "../../etc/passwd".
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ObjectError(
                f"the object '{name}' has a name that leads out of the folder it would go into"
            )
        fetch(name, target)
    return len(names)


def put_all(root: Path, part: str | Path, uri: str) -> int:
    """Copy every file in a part of a job's tree below a prefix. The number of files."""
    names = list(job_tree.files_inside(root, part))
    for name in names:
        put(root, Path(part, name), joined(uri, name))
    return len(names)


def joined(uri: str, *names: str) -> str:
    """A URI below another."""
    return "/".join([uri.rstrip("/"), *names])


@functools.cache
def _client() -> Any:  # boto3 makes a client's operations at run time
    return boto3.client("s3", region_name=own_region())


def own_region() -> str:
    """The region of this server's own calls."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


@contextmanager
def _object_errors(uri: str) -> Iterator[None]:
    """Turns the errors of boto3 and of the disk into an ObjectError that names the object."""
    try:
        yield
    except (ClientError, BotoCoreError, OSError, Boto3Error) as error:
        raise ObjectError(f"'{uri}': {error}") from error


def _parts(uri: str) -> tuple[str, str]:
    if not uri.startswith("s3://"):
        raise ObjectError(f"'{uri}' is neither s3://bucket/key nor file:///folder")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def _name(uri: str) -> str:
    if is_folder(uri):
        return uri.removeprefix(SCHEME)
    return _parts(uri)[1]


def below(uri: str) -> Iterator[tuple[str, str]]:
    """Each object below a prefix with its name there."""
    return ((name, relative(name, uri)) for name in listed(uri))
