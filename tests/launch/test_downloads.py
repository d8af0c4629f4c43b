"""Downloads of reports: whole or not at all, only into their folder, and how they end."""

import json
import subprocess

import pytest
from botocore.exceptions import ClientError

from launch import download
from launch.download import (
    diagnose,
    fetch,
    fetch_archive,
    fetch_prefix,
    measured,
    training_report,
)
from launch.errors import LaunchError
from tests.support.launching import streamed

OBJECT = {"Bucket": "photos", "Key": "a"}
LIST = {"Bucket": "photos", "Prefix": "p/"}


def test_a_download_is_whole_or_not_there(colours, tmp_path):
    one = colours()
    content = b"0123456789" * 200_000  # more than one piece of 1 MB
    one.answer("s3", "get_object", {"Body": streamed(content)}, OBJECT)
    one.refuse("s3", "get_object", "NoSuchKey")
    one.refuse("s3", "get_object", "AccessDenied", "no")
    path = tmp_path / "deep/folder/a"
    assert fetch(one.context, OBJECT, path) is True
    assert path.read_bytes() == content
    assert fetch(one.context, OBJECT, tmp_path / "deep/folder/b") is False
    with pytest.raises(ClientError):
        fetch(one.context, OBJECT, tmp_path / "deep/folder/c")
    assert list(path.parent.iterdir()) == [path]


def test_all_pages_under_a_prefix_come_home(colours, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "DOWNLOADS", 1)  # the answers come in an order
    one = colours()
    first = {"Contents": [{"Key": "p/a/1"}, {"Key": "p/a/"}], "IsTruncated": True}
    one.answer("s3", "list_objects_v2", {**first, "NextContinuationToken": "more"}, LIST)
    again = {**LIST, "ContinuationToken": "more"}
    one.answer("s3", "list_objects_v2", {"Contents": [{"Key": "p/2"}]}, again)
    for key, content in (("p/a/1", b"one"), ("p/2", b"two")):
        wanted = {"Bucket": "photos", "Key": key}
        one.answer("s3", "get_object", {"Body": streamed(content)}, wanted)
    assert fetch_prefix(one.context, "p/", tmp_path / "f") == [tmp_path / "f/a/1", tmp_path / "f/2"]
    assert (tmp_path / "f/a/1").read_bytes() == b"one"
    assert (tmp_path / "f/2").read_bytes() == b"two"
    one.finished()


def test_an_empty_prefix_has_no_paths(colours, tmp_path):
    one = colours()
    one.answer("s3", "list_objects_v2", {}, LIST)
    assert fetch_prefix(one.context, "p/", tmp_path) == []


@pytest.mark.parametrize(
    ("accuracy", "found"),
    [
        ('{"test": 0.5, "validation": null}', {"test": 0.5}),
        ('{"test": {}, "train": "x", "a": 1e999, "b": 2, "c": true}', {}),
        ('{"test": 1' + "0" * 400 + "}", {}),
        ("[0.5]", {}),
    ],
)
def test_only_shares_are_accuracies(tmp_path, accuracy, found):
    path = tmp_path / "model.json"
    path.write_text(f'{{"accuracy": {accuracy}}}')
    assert measured(path) == found


@pytest.mark.parametrize("content", [b"[", b"\xff\xfe", b'{"a":' * 100, b" " * 32_000_001])
def test_a_description_that_is_none_is_one_sentence(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_bytes(content)
    with pytest.raises(LaunchError, match="model.json' (is not readable JSON|has more than 32 MB)"):
        measured(path)


def test_no_object_leads_out_of_the_folder(colours, tmp_path):
    one = colours()
    one.answer("s3", "list_objects_v2", {"Contents": [{"Key": "p/../../x"}]}, LIST)
    with pytest.raises(LaunchError, match="leads out of its folder: '.*x'"):
        fetch_prefix(one.context, "p/", tmp_path / "f")


def test_an_archive_that_is_missing_or_broken(colours, tmp_path):
    one = colours()
    one.refuse("s3", "get_object", "NoSuchKey")
    fetch_archive(one.context, "s3://photos/a/model.tar.gz", tmp_path, "model")
    assert one.finished() == "report: s3://photos/a/model.tar.gz does not exist"
    one.answer("s3", "get_object", {"Body": streamed(b"no archive")})
    with pytest.raises(LaunchError, match=r"model.tar.gz' cannot be unpacked \("):
        fetch_archive(one.context, "s3://photos/a/model.tar.gz", tmp_path, "model")


@pytest.mark.parametrize("code, found", [(0, 0), (3, 0), (1, 1), (2, 2), (4, 4), (-9, -9)])
def test_a_rule_that_fired_is_no_failure(colours, tmp_path, monkeypatch, code, found):
    commands: list[list[str]] = []

    def run(command: list[str], check: bool, stdout: object) -> "subprocess.CompletedProcess[str]":
        assert check is False
        assert stdout is None
        commands.append(command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr("launch.download.subprocess.run", run)
    one = colours()
    assert diagnose(one.context, tmp_path) == found
    assert commands[0][1:] == ["-m", "diagnose", str(tmp_path)]
    said = f"report: `python -m diagnose {tmp_path}` ended with code {code}"
    assert one.printed == [said][: bool(found)]


@pytest.fixture
def emptied(colours, monkeypatch):
    """A report of a job that has nothing in S3; the folder may hold what came earlier."""
    one = colours()
    monkeypatch.setattr(download, "diagnose", lambda context, output: 7)
    for _ in range(2):
        one.refuse("s3", "get_object", "NoSuchKey")
    for part in ("debug-output", "profiler-output", "rule-output"):
        wanted = {"Bucket": "photos", "Prefix": f"slipway/colours/output/job/{part}/"}
        one.answer("s3", "list_objects_v2", {}, wanted)
    return one


def test_a_report_without_anything_is_fine(emptied, tmp_path):
    assert training_report(emptied.context, "job", tmp_path) == 0
    below = "s3://photos/slipway/colours/output/job/output"
    assert emptied.finished().splitlines() == [
        f"report: {below}/model.tar.gz does not exist",
        f"report: {below}/output.tar.gz does not exist",
    ]


@pytest.mark.parametrize("own", ["tensors", "profiler"])
def test_our_own_tensors_are_diagnosed(emptied, tmp_path, own):
    (tmp_path / f"output/data/{own}").mkdir(parents=True)
    (tmp_path / "output/data/report.html").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.json").write_text(json.dumps({"accuracy": {"test": 0.5}}))
    assert training_report(emptied.context, "job", tmp_path) == 7
    assert emptied.finished().splitlines()[2:] == [
        f"report: {tmp_path / 'output/data/report.html'}",
        "report: measured through the artifact:",
        "  test         0.5000",
    ]


def test_a_report_for_programs(emptied, tmp_path):
    (tmp_path / "output/data").mkdir(parents=True)
    (tmp_path / "output/data/report.html").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.json").write_text(json.dumps({"accuracy": {"test": 0.5}}))
    emptied.context.options.json = True
    assert training_report(emptied.context, "job", tmp_path) == 0
    # What else there is to say goes to standard error.
    assert len(emptied.printed) == 1
    found = json.loads(emptied.printed[-1])
    assert (found["name"], found["accuracy"]) == ("job", {"test": 0.5})
    assert found["reports"] == [str(tmp_path / "output/data/report.html")]
