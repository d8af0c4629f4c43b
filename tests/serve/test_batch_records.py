"""Batch transform: of every way to cut a file into requests, each record has its own answer."""

import itertools
import json
import time

import pytest

from local_sagemaker.jobs.records import assemble, batches
from serve.answering import ServingLimits, sliced
from serve.app import create_app
from serve.inputs import InputError
from serve.predictor import Predictor
from serve.records import Part, records_of
from serve.settings import BATCH_S, REAL_TIME_S, ServingSettings
from tests.support.servers import b64, photo

COLOURS = ("red", "green", "blue")
IN_BATCH = ServingLimits(tolerant=True, in_slices=True)
JSON = "application/json"
LINES = "application/jsonlines"


@pytest.fixture(scope="module")
def predictor(colours):
    opened = Predictor(colours.model)
    yield opened
    opened.close()


def document(content_type: str, colour: str) -> bytes:
    record = {"b64": b64(photo(colour))}
    return json.dumps({"instances": [record]} if content_type == JSON else record).encode()


def outcome(row: str, accept: str | None = JSON) -> str:
    """A record's label, or "error"."""
    if accept == "text/csv":
        return row.partition(",")[0]
    record = json.loads(row)
    if "predictions" in record:
        (record,) = record["predictions"]
    return record.get("label", "error")


@pytest.mark.parametrize("content_type", [JSON, LINES])
@pytest.mark.parametrize("accept", [None, JSON, LINES, "text/csv"])
def test_records_in_are_records_out(predictor, content_type, accept):
    lines = [document(content_type, colour) for colour in COLOURS]
    # An empty line is no record; one is broken; the last has no end.
    content = lines[0] + b"\n\n{broken\n" + lines[1] + b"\n" + lines[2]
    client = create_app(predictor, IN_BATCH).test_client()
    headers = {"Accept": accept} if accept else {}
    for strategy, split, how in itertools.product(
        ("SingleRecord", "MultiRecord"), ("None", "Line"), ("None", "Line")
    ):
        answers = []
        for body in batches(content, split, strategy, 10**6):
            answer = client.post(
                "/invocations", data=body, content_type=content_type, headers=headers
            )
            assert answer.status_code == 200, answer.text
            answers.append(answer.data)
        rows = assemble(answers, how).decode().splitlines()
        found = [outcome(row, accept) for row in rows]
        assert found == ["red", "error", "green", "blue"], (strategy, split, how)


def test_a_document_of_several_photos_is_one_record(predictor):
    several = json.dumps([b64(photo("red")), "no base64!", b64(photo("blue"))]).encode()
    body = several + b"\n" + document(JSON, "green")
    client = create_app(predictor, IN_BATCH).test_client()
    answer = client.post("/invocations", data=body, content_type=JSON)
    first, second = answer.text.splitlines()
    entries = json.loads(first)["predictions"]
    assert [entry.get("label") for entry in entries] == ["red", None, "blue"]
    error = entries[1]["error"]
    assert error.startswith("line 1 of its request: instance 1: not base64")
    assert outcome(second) == "green"
    rows = client.post(
        "/invocations", data=body, content_type=JSON, headers={"Accept": "text/csv"}
    ).text.splitlines()
    assert rows[0].startswith("error,")
    assert rows[1].startswith("green,")


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [\n  {"b64": "aaaa"},\n  {"b64": "aaaa"}\n',  # cut off
        b"no\njson\nat all\n",
    ],
)
def test_a_body_whose_records_cannot_be_counted_fails_as_a_whole(predictor, body):
    client = create_app(predictor, IN_BATCH).test_client()
    answer = client.post("/invocations", data=body, content_type=JSON)
    assert answer.status_code == 400
    assert answer.get_json()["error"].startswith("the body is not JSON")


def test_outside_batch_several_documents_are_pointed_to_their_type(predictor):
    body = document(JSON, "red") + b"\n" + document(JSON, "blue")
    answer = create_app(predictor).test_client().post("/invocations", data=body, content_type=JSON)
    assert answer.status_code == 400
    assert "several JSON documents; send them as application/jsonlines" in answer.text


def test_an_error_in_json_lines_names_its_line(predictor):
    body = document(LINES, "red") + b"\n\n" + json.dumps(b64(b"no photo")).encode()
    answer = create_app(predictor).test_client().post("/invocations", data=body, content_type=LINES)
    assert answer.status_code == 422
    assert "line 3: " in answer.get_json()["error"]


def test_a_body_holds_any_number_of_records_where_sagemaker_waits(predictor):
    # All are the error of their line, which costs no decoding.
    body = b'{"b64": "aaaa"}\n' * 2000
    in_batch = create_app(predictor, IN_BATCH).test_client()
    answer = in_batch.post("/invocations", data=body, content_type=LINES)
    assert answer.status_code == 200
    errors = [json.loads(line)["error"] for line in answer.text.splitlines()]
    assert len(errors) == 2000
    assert errors[-1].startswith("line 2000 of its request: the photo cannot be used: ")
    real_time = create_app(predictor).test_client()
    answer = real_time.post("/invocations", data=body, content_type=LINES)
    assert answer.status_code == 413
    assert "more than 1000 lines" in answer.text


def test_few_photos_are_in_memory_at_a_time():
    read = []

    def parts():
        for index in range(1000):
            read.append(index)
            yield Part(bytes(1024 * 1024))

    first = next(sliced(parts(), 256))
    assert len(first) == 8  # of 1 MiB each
    assert len(read) == 9
    small = [Part(b"x")] * 600
    assert [len(part) for part in sliced(small, 256)] == [256, 256, 88]
    # A large one is a slice of its own.
    assert [len(part) for part in sliced([Part(bytes(9 * 1024 * 1024))] * 2, 256)] == [1, 1]


def test_lines_are_read_as_they_are_asked_for():
    body = b'"aaaa"\n' * 3 + b"{broken"
    parts = iter(records_of(LINES, LINES, body, most=None).parts)
    assert [next(parts).photo for _ in range(3)] == [b"i\xa6\x9a"] * 3
    with pytest.raises(InputError, match="line 4: "):
        next(parts)


def test_batch_and_async_are_patient():
    batch = ServingSettings.read({"SAGEMAKER_BATCH": "true"})
    assert batch.timeout_s == BATCH_S
    assert batch.patient
    real_time = ServingSettings.read({})
    assert real_time.timeout_s == REAL_TIME_S
    assert not real_time.patient
    assert ServingSettings.read({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "900"}).patient


def test_a_request_that_is_late_by_itself_does_not_blame_others():
    from serve.request_state import RequestState

    state = RequestState(time.monotonic() - 1, started=time.monotonic() - 61)
    sentence = str(state.late())
    assert sentence.startswith("no answer within 60 s, the time limit of a request")
    stopped = RequestState.lasting(60)
    stopped.deadline = time.monotonic()
    assert "being stopped" in str(stopped.late())
