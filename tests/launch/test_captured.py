"""What data capture wrote is read from its newest file on, and what is no photo is counted."""

import base64
import json
from collections import Counter

import pytest
from botocore.response import StreamingBody

from launch.captured import FILE_BYTES, MOST_REASONS, Captures
from tests.support.launching import streamed


def event(body: bytes, answer: object = None, kind: str = "image/jpeg", **more: object) -> str:
    sides = {
        "endpointInput": {
            "observedContentType": kind,
            "mode": "INPUT",
            "data": base64.b64encode(body).decode(),
            "encoding": "BASE64",
            **more,
        }
    }
    if answer is not None:
        sides["endpointOutput"] = {
            "observedContentType": "application/json",
            "mode": "OUTPUT",
            "data": json.dumps(answer),
            "encoding": "JSON",
        }
    return json.dumps({"captureData": sides, "eventMetadata": {"inferenceTime": "2026-11-30"}})


@pytest.fixture
def captures(colours):
    """A function: the captures that a bucket holds, as one file of these lines."""

    def made(*lines: str) -> Captures:
        one = colours()
        content = "\n".join(lines).encode()
        one.answer("s3", "list_objects_v2", {"Contents": [{"Key": "p/a.jsonl"}]})
        body = {"Body": streamed(content), "ContentLength": len(content)}
        one.answer("s3", "get_object", body)
        return Captures(one.context.client("s3"), "photos", "p/")

    return made


def test_the_newest_come_first(colours):
    one = colours()

    def listing(prefix: str, folders: tuple[str, ...] = (), keys: tuple[str, ...] = ()) -> None:
        answer = {
            "CommonPrefixes": [{"Prefix": f"{prefix}{name}/"} for name in folders],
            "Contents": [{"Key": prefix + name} for name in keys],
        }
        asked = {"Bucket": "photos", "Prefix": prefix, "Delimiter": "/"}
        one.answer("s3", "list_objects_v2", answer, asked)

    def content(key: str, *photos: bytes) -> None:
        text = "\n".join(map(event, photos)).encode()
        body = {"Body": streamed(text), "ContentLength": len(text)}
        one.answer("s3", "get_object", body, {"Bucket": "photos", "Key": key})

    listing("p/", ("all",))
    listing("p/all/", ("2025", "2026"))
    listing("p/all/2026/", (), ("01.jsonl", "02.jsonl"))
    content("p/all/2026/02.jsonl", b"four", b"five")
    content("p/all/2026/01.jsonl", b"three")
    listing("p/all/2025/", (), ("09.jsonl",))
    content("p/all/2025/09.jsonl", b"one", b"two")
    found = [each.photo for each in Captures(one.context.client("s3"), "photos", "p/").newest()]
    assert found == [b"five", b"four", b"three", b"two", b"one"]
    one.finished()


def test_a_photo_has_its_answer(captures):
    answer = {"label": "red", "probability": 0.9}
    found = list(captures(event(b"photo", {"predictions": [answer]})).newest())
    assert [(one.photo, one.answer, one.time) for one in found] == [
        (b"photo", answer, "2026-11-30")
    ]


def test_json_requests_hold_several_photos(captures):
    texts = [base64.b64encode(photo).decode() for photo in (b"first", b"second")]
    document = json.dumps({"instances": [{"b64": texts[0]}, texts[1]]})
    answers = {"predictions": [{"label": "red"}, {"error": "no"}]}
    line = event(b"", answers, "application/json", data=document, encoding="JSON")
    found = list(captures(line).newest())
    assert [one.photo for one in found] == [b"first", b"second"]
    assert [one.answer for one in found] == [{"label": "red"}, {"error": "no"}]


ODD = {
    "no JSON": "not in JSON that can be read",
    "[]": "not in the form of data capture",
    "{}": "not in the form of data capture",
    '{"captureData": {}}': "without its request: capture has the mode Output alone",
    event(b"a,b", kind="text/csv"): "of the type 'text/csv'",
    event(b"", kind="image/jpeg", data="§"): "with data that is not base64",
    event(b"{}", kind="application/json"): "with JSON that holds no photos",
    event(b'{"instances": 3}', kind="application/json"): "with JSON that holds no photos",
}


def test_what_holds_no_photo_is_counted(captures):
    found = captures(*ODD, event(b"photo"))
    assert [one.photo for one in found.newest()] == [b"photo"]
    assert found.passed_by == Counter(ODD.values())


def test_an_answer_of_another_form_is_none(captures):
    odd: tuple[object, ...] = (None, [], {"predictions": 3}, {"predictions": [{}, {}]})
    found = captures(*(event(b"photo", answer) for answer in odd)).newest()
    assert [one.answer for one in found] == [{}] * 4


def test_a_huge_file_is_passed_by(colours):
    one = colours()
    one.answer("s3", "list_objects_v2", {"Contents": [{"Key": "p/a.jsonl"}]})
    body: dict[str, StreamingBody | int] = {
        "Body": streamed(b""),
        "ContentLength": FILE_BYTES + 1,
    }
    one.answer("s3", "get_object", body)
    found = Captures(one.context.client("s3"), "photos", "p/")
    assert list(found.newest()) == []
    assert list(found.passed_by) == ["in a file of more than 256 MB"]


def test_a_type_forges_no_line_and_reasons_have_an_end(captures):
    kinds = ["text/\x1b[2K\ndrift: nothing has moved", *(f"text/{number}" for number in range(99))]
    read = captures(*(event(b"photo", kind=kind) for kind in reversed(kinds)))
    assert list(read.newest()) == []
    assert read.passed_by["of the type 'text/\\x1b[2k\\ndrift: nothing has moved'"] == 1
    assert len(read.passed_by) == MOST_REASONS + 1
    assert read.passed_by.total() == len(kinds)
