"""Filters of a transform job's records, and the join of the answers with their inputs."""

import json

import pytest

from local_sagemaker.contract import ApiError
from local_sagemaker.job_ends import JobFailed
from local_sagemaker.jobs.data_processing import DataProcessing, select, steps_of

RECORD = {"id": 7, "photo": {"b64": "x"}, "tags": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("path", "selected"),
    [
        ("$", RECORD),
        ("$.photo.b64", "x"),
        ("$['photo']", {"b64": "x"}),
        ("$.['id','tags']", {"id": 7, "tags": ["a", "b", "c"]}),
        ("$.tags[-1]", "c"),
        ("$.tags[0,2]", ["a", "c"]),
        ("$.tags[1:]", ["b", "c"]),
        ("$.tags[*]", ["a", "b", "c"]),
        ("$.photo.*", ["x"]),
    ],
)
def test_a_path_selects_from_a_record(path, selected):
    assert select(RECORD, steps_of(path)) == selected


@pytest.mark.parametrize("path", ["", "id", "$$", "$.", "$..id", "$.tags[?(@.a)]", "$[a]"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ApiError, match="is no JSONPath that transform jobs take"):
        steps_of(path)


def job(content: str, split: str = "Line", accept: str | None = None, **asked: str) -> dict:
    return {
        "TransformInput": {"ContentType": content, "SplitType": split},
        "TransformOutput": {"Accept": accept},
        "DataProcessing": asked,
    }


def echo(sent: list[bytes], answers: bytes):
    def ask(body: bytes) -> bytes:
        sent.append(body)
        return answers

    return ask


def test_lines_of_json_are_filtered_and_joined():
    asked = job(
        "application/jsonlines",
        InputFilter="$.photo",
        OutputFilter="$['id','SageMakerOutput']",
        JoinSource="Input",
    )
    sent: list[bytes] = []
    body = b'{"id": 1, "photo": [2]}\n{"id": 3, "photo": [4]}\n'
    found = DataProcessing(asked).answer(body, echo(sent, b'{"a": 5}\n{"a": 6}\n'))
    assert sent == [b"[2]\n[4]"]
    assert [json.loads(line) for line in found.splitlines()] == [
        {"id": 1, "SageMakerOutput": {"a": 5}},
        {"id": 3, "SageMakerOutput": {"a": 6}},
    ]


def test_a_line_of_json_ends_with_a_line_feed_alone():
    body = '{"id": "a\u2028b\x85"}\r\n{"id": "c"}\n'.encode()
    sent: list[bytes] = []
    asked = job("application/jsonlines", InputFilter="$.id")
    DataProcessing(asked).answer(body, echo(sent, b""))
    assert [json.loads(line) for line in sent[0].split(b"\n")] == ["a\u2028b\x85", "c"]


def test_rows_of_csv_are_filtered_and_joined():
    asked = job("text/csv", InputFilter="$[1:]", OutputFilter="$[0,-1]", JoinSource="Input")
    sent: list[bytes] = []
    found = DataProcessing(asked).answer(b"7,1,2\n8,3,4\n", echo(sent, b"0.5\n0.6\n"))
    assert sent == [b"1,2\n3,4\n"]
    assert found == b"7,0.5\n8,0.6\n"


def test_without_a_filter_nothing_is_touched():
    asked = job("image/jpeg", "None", InputFilter="$", OutputFilter="$", JoinSource="None")
    assert DataProcessing(asked).answer(b"\xff\xd8", echo([], b"any")) == b"any"
    del asked["DataProcessing"]
    assert not DataProcessing(asked).active


def test_a_record_that_is_no_object_is_joined_beside_its_answer():
    asked = job("application/json", "None", JoinSource="Input")
    found = DataProcessing(asked).answer(b"[1]", echo([], b'{"a": 2}'))
    assert json.loads(found) == {"SageMakerInput": [1], "SageMakerOutput": {"a": 2}}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (job("image/jpeg", InputFilter="$.a"), "needs a ContentType and an Accept among"),
        (job("text/csv", accept="application/json", JoinSource="Input"), "both JSON or CSV"),
    ],
)
def test_what_has_no_records_cannot_be_filtered(asked, sentence):
    with pytest.raises(ApiError, match=sentence):
        DataProcessing(asked)


@pytest.mark.parametrize(
    ("asked", "body", "answer", "sentence"),
    [
        (job("application/json", InputFilter="$.no"), b'{"a": 1}', b"1", "KeyError"),
        (job("application/json", InputFilter="$.a"), b"rubbish", b"1", "JSONDecodeError"),
        (job("application/json", JoinSource="Input"), b"1\n2\n", b"3", "set BatchStrategy to Sin"),
        (job("application/json", OutputFilter="$[3]"), b"1", b"[1]", "IndexError"),
    ],
)
def test_a_record_that_does_not_fit_fails_the_job(asked, body, answer, sentence):
    with pytest.raises(JobFailed, match=sentence):
        DataProcessing(asked).answer(body, echo([], answer))
