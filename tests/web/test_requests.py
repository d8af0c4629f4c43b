"""Odd requests: the Lambda function and the server understand them alike, without a traceback."""

import json
import re

import pytest

from tests.support.api_gateway import event_1, event_2
from tests.support.aws import aws
from tests.support.servers import b64, photo, serving
from web.aws import handler
from web.photos import header_value

JSON = {"Content-Type": "application/json"}
JPEG = {"Content-Type": "image/jpeg"}
FORM = {"Content-Type": "multipart/form-data; boundary=X"}


@pytest.fixture(scope="module")
def server(colours):
    photos = colours.root / "input" / "data"
    environment = {"SLIPWAY_PAGE": 1, "SLIPWAY_SAMPLES": photos / "validation"}
    with (
        serving(colours.model, **environment) as running,
        aws(running, photos) as cloud,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        handler.site.cache_clear()
        yield running
        handler.site.cache_clear()


def form(disposition: str, data: bytes) -> bytes:
    return (
        b"--X\r\n"
        + f"Content-Disposition: form-data; {disposition}".encode()
        + b"\r\n\r\n"
        + data
        + b"\r\n--X--\r\n"
    )


def in_json(**fields: object) -> bytes:
    return json.dumps({"b64": b64(photo()), **fields}).encode()


def old(ground_truth: str) -> bytes:
    return json.dumps(
        {"data": b64(b"no photo"), "ground_truth": ground_truth, "is_user_data": True},
        ensure_ascii=ground_truth != "\ufffd",
    ).encode()


# (path and query, body, headers), status, pattern of the answer. Requests that would ask Wikipedia
# hold no photo.
REQUESTS = {
    "top_k twice": (
        ("/classify?top_k=3&top_k=1", photo(), JPEG),
        200,
        r'"top": \[\{"label": "red"[^{]*\}\]',
    ),
    "top_k empty": (("/classify?top_k=", photo(), JPEG), 400, "top_k is ''"),
    "top_k behind zeros": (
        ("/classify?top_k=000001000999999", photo(), JPEG),
        400,
        "top_k is '000001000999999'",
    ),
    "top_k in JSON before that in the query": (
        ("/classify?top_k=9999", in_json(top_k=1), JSON),
        200,
        r'"top": \[\{"label": "red"[^{]*\}\]',
    ),
    "half a surrogate pair": (
        ("/classify", in_json(top_k="\ud800"), JSON),
        400,
        r"top_k is '\\ud800'",
    ),
    "half a surrogate pair, old": (
        ("/getyogaapp", old("\udfff"), JSON),
        200,
        r'"groundtruth": "\\udfff"',
    ),
    "deep JSON": (("/classify", b"[" * 100_000, JSON), 400, "not JSON"),
    "no JSON, old": (
        ("/getyogaapp", b"data=1", {"Content-Type": "application/x-www-form-urlencoded"}),
        200,
        r'send \{\\"data\\"',
    ),
    "JSON in UTF-16": (
        ("/classify", in_json().decode().encode("utf-16"), JSON),
        200,
        '"label": "red"',
    ),
    "a file's name in UTF-8": (
        ("/classify", form("name=file; filename*=UTF-8''r%C3%B6d.jpg", photo()), FORM),
        200,
        '"label": "red"',
    ),
    "a form without a file": (
        ("/classify", form('name=photo; filename=""', b""), FORM),
        400,
        "no photo",
    ),
    "a form's other name": (("/classify", form("name=file", photo()), FORM), 400, "0 files"),
    "curl --data-binary": (
        ("/classify", photo(), {"Content-Type": "application/x-www-form-urlencoded"}),
        415,
        "multipart/form-data",
    ),
    "no type at all": (("/classify", photo(), {}), 200, '"label": "red"'),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_function_and_server_answer_odd_requests_alike(server, case):
    (place, body, headers), status, pattern = REQUESTS[case]
    path, _, query = place.partition("?")
    direct = server.ask("POST", place, body, headers)
    event = {**event_2("POST", path, body, headers), "rawQueryString": query}
    behind = handler.handle(event)
    assert direct[0] == behind["statusCode"] == status
    assert direct[2].decode() == behind["body"]
    assert re.search(pattern, behind["body"])
    assert direct[1]["content-type"] == behind["headers"]["content-type"] == "application/json"
    assert (
        direct[1]["x-content-type-options"]
        == behind["headers"]["x-content-type-options"]
        == "nosniff"
    )


@pytest.mark.parametrize(
    "body",
    [photo(kind="PNG"), photo(kind="GIF"), photo(kind="WEBP"), form("name=photo", photo())],
    ids=["png", "gif", "webp", "form"],
)
def test_a_photo_that_api_gateway_took_for_text_is_told(server, body):
    answer = handler.handle(event_1("POST", "/classify", body, text=True))
    assert answer["statusCode"] == 400
    assert "binaryMediaTypes" in answer["body"]


def test_text_may_hold_the_mark_of_bytes_that_are_no_text(server):
    assert (
        json.loads(
            handler.handle(event_2("POST", "/getyogaapp", old("\ufffd"), JSON, text=True))["body"]
        )["groundtruth"]
        == "\ufffd"
    )


@pytest.mark.parametrize(
    ("text", "value", "parameters"),
    [
        ("", "", {}),
        ('form-data; name="a;b"; FileName=c', "form-data", {"name": "a;b", "filename": "c"}),
        ("Image/JPEG", "image/jpeg", {}),
        ("form-data; filename*=UTF-8''r%C3%B6d", "form-data", {"filename": "röd"}),
        ("form-data; filename*=nowhere''x", "form-data", {"filename": "x"}),
        ("image/jpeg\r\nX-Evil: 1", "image/jpeg  x-evil: 1", {}),
        (";;;=\0", "", {}),
    ],
)
def test_headers_are_read_as_they_come(text, value, parameters):
    found, given = header_value(text)
    assert found == value
    assert parameters.items() <= given.items()
