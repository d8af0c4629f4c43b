"""Uploads: the comparison with S3, requests and their bounds, progress, and interruptions."""

import base64
import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from launch import upload as uploads
from launch.errors import LaunchError
from launch.upload import Channel, File, Plan, compare, files_of, sha256_of, upload
from launch.visible_files import visible_files
from tests.support.s3_bucket import Bucket, etag

KEY = "p/data/train/"


@pytest.fixture
def s3() -> Bucket:
    return Bucket()


@pytest.fixture
def channel(s3) -> Channel:
    return Channel(s3, "photos", KEY)


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path / "train", a="1", b="22")
    return tmp_path / "train"


def write(folder: Path, **contents: str) -> None:
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def file(name: str, content: bytes = b"1") -> File:
    return File(name, Path(name), len(content), hashlib.sha256(content).hexdigest())


def entry(content: bytes = b"1") -> dict[str, str]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "etag": etag(content)}


def silent(line: str) -> None:
    pass


def names(files: list[File]) -> list[str]:
    return [one.name for one in files]


@pytest.mark.parametrize(
    "manifest, objects, put, same, delete",
    [
        ({}, {}, ["a"], [], []),
        ({"a": entry()}, {"a": etag(b"1")}, [], ["a"], []),
        ({"a": entry(b"2")}, {"a": etag(b"2")}, ["a"], [], []),
        # Somebody replaced the object, or removed it.
        ({"a": entry()}, {"a": "other"}, ["a"], [], []),
        ({"a": entry()}, {}, ["a"], [], []),
        # An earlier upload put what the folder no longer has.
        (
            {"a": entry(), "z": entry(), "b": entry()},
            {"a": etag(b"1"), "z": "1", "b": "2"},
            [],
            ["a"],
            ["b", "z"],
        ),
        ({"gone": entry()}, {}, ["a"], [], []),
    ],
)
def test_only_differences_are_planned(manifest, objects, put, same, delete):
    plan = compare([file("a")], manifest, objects)
    assert names(plan.put) == put
    assert names(plan.same) == same
    assert plan.delete == delete
    assert plan.size == len(put)


def test_an_object_of_no_upload_is_an_error():
    with pytest.raises(LaunchError, match=r"holds 2 object\(s\) .* such as 'y'; remove them"):
        compare([file("a")], {}, {"z": "1", "y": "2"})


def test_a_plans_size_is_that_of_the_files_to_send():
    assert Plan(put=[file("a", b"123"), file("b", b"45")], same=[file("c")]).size == 5


def test_files_are_listed_without_hidden_ones(folder, tmp_path):
    write(folder, **{".hidden": "x", "c/.d/e": "x", "c/f": "y", "e/g": "z"})
    os.symlink(folder / "e", folder / "link")
    paths = visible_files(folder)
    assert paths == [folder / name for name in ("a", "b", "c/f", "e/g", "link/g")]
    assert files_of(folder)[1] == File("b", folder / "b", 2, hashlib.sha256(b"22").hexdigest())
    assert names(files_of(folder)) == ["a", "b", "c/f", "e/g", "link/g"]
    assert sha256_of(folder / "a") == hashlib.sha256(b"1").hexdigest()


@pytest.mark.parametrize(
    "name, expected",
    [
        ("none", "the folder '.*none' of a channel does not exist; run `python -m prepare`"),
        ("file", "the folder '.*file' of a channel does not exist"),
        ("empty", "the folder '.*empty' of a channel holds no files"),
    ],
)
def test_a_channel_needs_files(tmp_path, name, expected):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(LaunchError, match=expected):
        files_of(tmp_path / name)


def test_a_file_has_5_gb_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "sha256_of", lambda path: "0")
    (tmp_path / "a").touch()
    os.truncate(tmp_path / "a", 5 * 1024**3)  # a sparse file takes no room
    assert files_of(tmp_path)[0].size == 5_368_709_120
    os.truncate(tmp_path / "a", 5 * 1024**3 + 1)
    with pytest.raises(LaunchError, match="a' has 5.4 GB; a file of a channel may have 5 GB"):
        files_of(tmp_path)


def test_s3_checks_each_files_checksum():
    one = Channel(None, "photos", KEY, "key-1")
    assert one.manifest_key == "p/data/train.json"
    assert one.put_request(file("a/b", b"12")) == {
        "Bucket": "photos",
        "Key": "p/data/train/a/b",
        "ContentLength": 2,
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(b"12").digest()).decode(),
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key-1",
    }


def test_a_missing_manifest_is_the_first_upload_and_a_missing_bucket_is_an_error(channel, s3):
    assert channel.manifest() == {}
    channel.write_manifest({"a": entry()})
    written = json.loads(s3.objects["p/data/train.json"])
    assert written == {"format_version": 1, "files": {"a": entry()}}
    assert channel.manifest() == {"a": entry()}
    s3.objects.clear()
    for code, message in (("NoSuchBucket", "The specified bucket does not exist"), ("403", "no")):
        s3.missing = ClientError({"Error": {"Code": code, "Message": message}}, "GetObject")
        with pytest.raises(ClientError):
            channel.manifest()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": []}', '{"files": {"a": 1}}', "[" * 5000]
)
def test_a_damaged_manifest_is_one_sentence(channel, s3, text):
    s3.objects["p/data/train.json"] = text.encode()
    with pytest.raises(LaunchError, match="s3://photos/p/data/train.json is no list of an upload"):
        channel.manifest()


def test_all_pages_of_a_channels_objects_are_read(channel, s3):
    s3.objects = {f"{KEY}{name}": b"1" for name in "abc"} | {"p/data/other": b"1"}
    assert channel.objects() == dict.fromkeys("abc", etag(b"1"))


@pytest.mark.parametrize(
    "count, parts", [(0, []), (1, [1]), (1000, [1000]), (1001, [1000, 1]), (2001, [1000, 1000, 1])]
)
def test_a_request_removes_1000_objects_at_most(channel, s3, count, parts):
    wanted = [f"{number:04}" for number in range(count)]
    channel.delete(wanted)
    assert [len(part["Objects"]) for part in s3.deletions] == parts
    removed = [entry["Key"] for part in s3.deletions for entry in part["Objects"]]
    assert removed == [KEY + name for name in wanted]
    assert all("Quiet" not in part for part in s3.deletions)  # what stays as a version is said


def test_an_object_that_s3_does_not_remove_is_an_error(channel, s3):
    s3.refused = [f"{KEY}b"]
    with pytest.raises(LaunchError, match="S3 did not delete 'p/data/train/b': Access Denied"):
        channel.delete(["a", "b"])


def test_an_upload_makes_s3_equal_to_the_folder(channel, s3, folder):
    lines: list[str] = []
    plan = upload(channel, files_of(folder), lines.append, "train")
    assert names(plan.put) == ["a", "b"]
    assert channel.manifest() == {"a": entry(b"1"), "b": entry(b"22")}
    (folder / "a").unlink()
    upload(channel, files_of(folder), lines.append, "train")
    assert channel.objects() == {"b": etag(b"22")}
    assert channel.manifest() == {"b": entry(b"22")}
    count = len(s3.requests)
    upload(channel, files_of(folder), lines.append, "train")
    assert len(s3.requests) == count, "nothing is written where nothing changed"
    assert lines == [
        "upload: train: 2 new or changed (0.0 MB), 0 as they are, 0 to remove",
        "upload: train: 0 new or changed (0.0 MB), 1 as they are, 1 to remove",
        "upload: train: 0 new or changed (0.0 MB), 1 as they are, 0 to remove",
    ]


def test_an_interruption_forgets_neither_sent_files_nor_those_to_remove(
    channel, folder, monkeypatch
):
    write(folder, z="old")
    upload(channel, files_of(folder), silent, "train")
    (folder / "z").unlink()
    write(folder, a="new", c="new")
    put = channel.put

    def interrupted(one: File, progress: object) -> str:
        if one.name == "c":
            raise KeyboardInterrupt
        return put(one)

    monkeypatch.setattr(uploads, "THREADS", 1)
    monkeypatch.setattr(channel, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        upload(channel, files_of(folder), silent, "train")
    found = channel.manifest()
    # Nobody knows whether S3 got it: it is ours, and is sent again.
    assert found.pop("c")["etag"] == ""
    assert found == {"a": entry(b"new"), "b": entry(b"22"), "z": entry(b"old")}


def test_a_failed_removal_keeps_no_entry_of_what_is_sent_and_whole(channel, s3, folder):
    upload(channel, files_of(folder), silent, "train")
    (folder / "a").unlink()
    s3.refused = [f"{KEY}a"]
    with pytest.raises(LaunchError, match="did not delete"):
        upload(channel, files_of(folder), silent, "train")
    assert channel.manifest() == {"b": entry(b"22")}


def test_a_killed_upload_is_known_for_ours(channel, s3, folder, monkeypatch):
    """A kill leaves no time for a last note: what would be sent is noted before."""
    plan = Plan(put=files_of(folder))
    uploads.announce(channel, {}, plan)
    channel.put(plan.put[0])
    (folder / plan.put[0].name).unlink()
    left = upload(channel, files_of(folder), silent, "train")
    assert left.delete == [plan.put[0].name]
    assert set(channel.manifest()) == {file.name for file in plan.put[1:]}


class ObservedPool(ThreadPoolExecutor):
    """Says when it cancels what waits."""

    ended = threading.Event()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=cancel_futures)
        self.ended.set()
        super().shutdown(wait=wait)


def test_after_an_error_no_waiting_file_is_sent(channel, tmp_path, monkeypatch):
    write(tmp_path / "train", **dict.fromkeys("abcdef", "1"))
    plan = Plan(put=files_of(tmp_path / "train"))
    ObservedPool.ended.clear()
    sent: list[str] = []

    def put(one: File, progress: object) -> str:
        sent.append(one.name)
        if one.name == "a":
            raise OSError("the disk is gone")
        assert ObservedPool.ended.wait(10)
        return ""

    monkeypatch.setattr(channel, "put", put)
    monkeypatch.setattr(uploads, "THREADS", 1)
    monkeypatch.setattr("launch.threads.ThreadPoolExecutor", ObservedPool)
    with pytest.raises(OSError, match="the disk is gone"):
        uploads.send_all(channel, plan, {}, silent, "train")
    # The thread may have begun the next one before the error was seen.
    assert sent[:2] == sent
