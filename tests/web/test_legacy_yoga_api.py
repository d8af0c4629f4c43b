"""/getyogaapp: the older API of the yoga project's clients."""

import base64
import json

import pytest

from tests.support.jobs import COLOURS
from tests.support.lambda_requests import EVENTS, JSON, ask
from tests.support.servers import b64, photo
from web import wikipedia
from web.aws import handler

FIELDS = {"data", "groundtruth", "prediction", "title", "summary", "exception"}


@pytest.fixture
def encyclopedia(monkeypatch):
    """Wikipedia cannot be reached; the page's tests show the shape of its answers."""
    monkeypatch.setattr("web.legacy_yoga_api.summary_of.__defaults__", ("http://127.0.0.1:9/",))
    monkeypatch.setitem(wikipedia._pause, "until", 0.0)
    wikipedia._asked.cache_clear()


@EVENTS
def test_the_old_contract_is_kept(site, cloud, encyclopedia, event):
    asked = {"data": b64(photo("red")), "ground_truth": "red", "is_user_data": True}
    status, answer = ask(event("POST", "/getyogaapp", json.dumps(asked).encode(), JSON, text=True))
    assert status == 200
    assert answer == {
        "data": asked["data"],
        "groundtruth": "red",
        "prediction": "red",
        "title": "",
        "summary": "",
        "exception": "",
    }
    status, answer = ask(
        event(
            "POST",
            "/getyogaapp",
            b'{"data": "", "ground_truth": "", "is_user_data": "false"}',
            JSON,
        )
    )
    assert status == 200
    assert set(answer) == FIELDS
    assert base64.b64decode(answer["data"])[:2] == b"\xff\xd8"
    assert answer["prediction"] == answer["groundtruth"] in COLOURS
    for body, words in (
        (b'{"data": "", "is_user_data": true}', "base64"),
        (b'{"data": "aGVsbG8=", "is_user_data": true}', "it is text, not a photo"),
        (b"?", "not JSON"),
    ):
        status, answer = ask(event("POST", "/getyogaapp", body, JSON, text=True))
        assert status == 200
        assert set(answer) == FIELDS
        assert words in answer["exception"]
    assert handler.handle(event("GET", "/getyogaapp"))["body"].startswith("<!doctype html>")
