"""Requests to the page at their bounds: sizes, counts, kinds of photos, and what is kept."""

import json
import logging
from typing import Any

import pytest

from web import wikipedia
from web.aws.endpoint import Cached, prediction_in
from web.aws.handler import _without_stage, event_answer
from web.exchange import Answer, Failure, Request, json_answer
from web.legacy_yoga_api import yoga_answer
from web.model import Model, Sample
from web.photos import MAX_BYTES, classify_request_of, from_base64, json_object, kind_of, top_k_of
from web.site import Site, content_security_policy

JPEG = b"\xff\xd8\xff"


@pytest.mark.parametrize(
    "photo, kind",
    [
        (JPEG, "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\n\n\n\nWEBP", "image/webp"),
        (b"BM", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        # Exactly the most that is taken; one byte more gets 413, below.
        (JPEG + bytes(MAX_BYTES - 3), "image/jpeg"),
    ],
)
def test_photos_are_known_by_their_first_bytes(photo, kind):
    assert kind_of(photo) == kind


@pytest.mark.parametrize(
    "photo, status, words",
    [
        (b"", 400, "the request has no photo"),
        (JPEG + bytes(MAX_BYTES - 2), 413, "the photo has 10.0 MB; send one of at most 10 MB"),
        # ISO media files begin alike; the brand behind ftyp tells photos from films.
        (b"    ftypisom", 415, "the file is not taken: it is a video"),
        (b"xBM", 415, "the file is not taken: it is text, not a photo"),
        (b"GIF88a", 415, "the file is not taken: it is text"),
    ],
)
def test_what_is_not_taken_is_named(photo, status, words):
    with pytest.raises(Failure, match=words) as caught:
        kind_of(photo)
    assert caught.value.status == status


@pytest.mark.parametrize("value, expected", [(None, 5), (1, 1), ("1000", 1000), (" 7 ", 7)])
def test_a_top_k(value, expected):
    assert top_k_of(value) == expected


# A superscript two is a digit to str.isdigit().
@pytest.mark.parametrize("value", ["0", "1001", "-1", "1.5", "²", "1" * 10, "x" * 30, ""])
def test_another_top_k_is_refused(value):
    with pytest.raises(Failure) as caught:
        top_k_of(value)
    assert caught.value.status == 400
    assert str(caught.value).startswith(f"top_k is '{value[:20]}'; send a whole number from 1")


def form(parts: int) -> Request:
    """A form of one photo and other fields, `parts` together."""
    field = b'--e\r\nContent-Disposition: form-data; name="n"\r\n\r\nx\r\n'
    photo = b'--e\r\nContent-Disposition: form-data; name="photo"\r\n\r\n' + JPEG + b"\r\n"
    headers = {"content-type": "multipart/form-data; boundary=e"}
    return Request("POST", "/", headers=headers, body=field * (parts - 1) + photo + b"--e--")


def test_a_form_has_twenty_parts():
    assert classify_request_of(form(1)).photo == JPEG
    assert classify_request_of(form(20)).kind == "image/jpeg"
    with pytest.raises(Failure, match="the body has more than 20 parts"):
        classify_request_of(form(21))


def test_the_query_is_overruled_by_the_body():
    body = b'{"b64": "/9j/", "top_k": 3}'
    headers = {"content-type": "application/json"}
    assert classify_request_of(Request("POST", "/", {"top_k": "2"}, headers, body)).top_k == 3
    assert classify_request_of(Request("POST", "/", {"top_k": "2"}, body=JPEG)).top_k == 2


@pytest.mark.parametrize("text", ["", " ", None, 5])
def test_an_empty_text_is_no_photo(text):
    with pytest.raises(Failure, match="the JSON holds no photo in base64; send X"):
        from_base64(text, "X")


@pytest.mark.parametrize("text", ["aa==", "aa", " a\na", "data:x;base64,aa", "aa="])
def test_base64_may_lack_its_end(text):
    assert from_base64(text, "X") == b"i"


def test_what_is_not_json_is_shown_what_to_send():
    with pytest.raises(Failure, match="the body is not JSON .*; send X"):
        json_object(b"{", "X")
    with pytest.raises(Failure, match="the body is not a JSON object; send X"):
        json_object(b"[]", "X")
    assert json_object(b'{"a": 1}', "X") == {"a": 1}


def test_a_failure_says_when_to_ask_again():
    assert Failure(503, "x", 5).headers == {"Retry-After": "5"}
    assert Failure(401, "x", headers={"A": "b"}).headers == {"A": "b"}
    # A lone surrogate cannot be UTF-8: JSON escapes it.
    answer = json_answer({"a": "\ud800ü"}, 418, {"B": "c"})
    assert answer.status == 418
    assert answer.body == b'{"a": "\\ud800\xc3\xbc"}\n'
    assert answer.headers["B"] == "c"
    assert answer.headers["Cache-Control"] == "no-store"


def model(probability: float = 0.5, error: Exception | None = None) -> Model:
    def classify(photo: bytes, kind: str, top_k: int) -> Any:
        if error:
            raise error
        return {"label": "Red_dog", "probability": probability, "top": []}

    return Model(classify, lambda: ["a"], lambda: None, lambda: Sample("truth", "n", JPEG))


@pytest.mark.parametrize("probability, sure", [(0.5, True), (0.49, False)])
def test_an_answer_is_sure_from_one_half(probability, sure):
    answer = Site(model(probability)).answer(Request("POST", "/classify", body=JPEG))
    assert json.loads(answer.body)["sure"] is sure


def test_an_unknown_photo_is_never_sure():
    unknown = Model(
        lambda photo, kind, top_k: {"label": "a", "probability": 1.0, "top": [], "known": False},
        lambda: ["a"],
        lambda: None,
        lambda: Sample("truth", "n", JPEG),
    )
    answer = json.loads(Site(unknown).answer(Request("POST", "/classify", body=JPEG)).body)
    assert answer["known"] is False
    assert answer["sure"] is False


@pytest.mark.parametrize("known", [True, False, None])
def test_the_endpoints_word_on_a_photo_is_passed_on(known):
    found: dict[str, object] = {"label": "a", "probability": 0.9, "top": []}
    if known is not None:
        found["known"] = known
    assert prediction_in(json.dumps({"predictions": [found]}).encode()) == found


def test_a_fault_is_a_500_and_for_the_log(caplog):
    answer = Site(model(error=KeyError("secret"))).answer(Request("POST", "/classify", body=JPEG))
    assert answer.status == 500
    # What went wrong within is for the log, not for callers.
    assert b"secret" not in answer.body
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_head_is_a_get_and_other_methods_are_named():
    site = Site(model())
    assert site.answer(Request("HEAD", "/labels")).status == 200
    refused = site.answer(Request("M" * 30, "/getyogaapp"))
    assert refused.status == 405
    assert refused.headers["Allow"] == "GET, POST"
    assert f"{'M' * 20} is not served at /getyogaapp" in json.loads(refused.body)["error"]
    lost = site.answer(Request("GET", "/" + "p" * 200))
    assert lost.status == 404
    assert f"there is nothing at /{'p' * 99}; there is GET /," in json.loads(lost.body)["error"]


def test_each_block_of_a_page_has_its_hash():
    policy = content_security_policy("<script>a</script><style>b</style><script>c</script>")
    script = policy.partition("script-src ")[2].partition(";")[0]
    # Two scripts and one style: a block without its hash would not run.
    assert len(script.split()) == 2
    assert "style-src 'sha256-" in policy


@pytest.mark.parametrize(
    "asked, truth, exception",
    [
        ({"data": "/9j/", "is_user_data": "Yes", "ground_truth": "x"}, "x", ""),
        ({"data": "/9j/", "is_user_data": 1}, "", ""),
        ({"is_user_data": False}, "truth", ""),
        ({}, "truth", ""),
        ({"is_user_data": True}, "", "the JSON holds no photo in base64"),
    ],
)
def test_the_older_api_always_answers_200(asked, truth, exception):
    request = Request("POST", "/getyogaapp", body=json.dumps(asked).encode())
    answer = yoga_answer(request, model(), lambda name: (name, "words"))
    found = json.loads(answer.body)
    assert answer.status == 200
    assert found["groundtruth"] == truth
    assert found["exception"].startswith(exception)
    assert bool(found["exception"]) is bool(exception)
    if not exception:
        assert found["prediction"] == "Red_dog"
        assert found["title"] == "Red dog"
        assert found["summary"] == "words"
        assert found["data"] == "/9j/"


def test_after_a_failure_wikipedia_is_left_alone(monkeypatch):
    asked: list[str] = []
    now = [1000.0]

    def failing(name: str, url: str) -> tuple[str, str]:
        asked.append(name)
        raise OSError("no network")

    monkeypatch.setattr(wikipedia, "_asked", failing)
    monkeypatch.setattr("web.wikipedia.time.monotonic", lambda: now[0])
    # The pause is the module's own and outlives a test.
    monkeypatch.setitem(wikipedia._pause, "until", 0.0)
    for moment in (1000.0, 1059.9, 1060.0):
        now[0] = moment
        assert wikipedia.summary_of("red") == ("", "")
    # The second call comes within the pause and asks nobody.
    assert len(asked) == 2


def test_a_value_is_kept_for_its_time(monkeypatch):
    now = [0.0]
    made: list[float] = []

    def make() -> int:
        made.append(now[0])
        return len(made)

    monkeypatch.setattr("web.aws.endpoint.time.monotonic", lambda: now[0])
    cached = Cached(make, 10)
    assert [cached(), cached()] == [1, 1]
    now[0] = 9.9
    assert cached() == 1
    now[0] = 10.0
    assert cached() == 2
    cached.forget()
    assert cached() == 3


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'{"predictions": []}',
        b'{"predictions": [{"label": "a"}]}',
        b'{"predictions": 1}',
    ],
)
def test_an_answer_of_another_model_is_a_502(text):
    with pytest.raises(Failure, match="not that of slipway-serve") as caught:
        prediction_in(text)
    assert caught.value.status == 502


@pytest.mark.parametrize(
    "path, stage, expected",
    # The stage may also be the beginning of a longer name.
    [
        ("/prod/a", "prod", "/a"),
        ("/prod", "prod", "/"),
        ("/product", "prod", "/product"),
        ("/a", "$default", "/a"),
        ("/$default/a", "$default", "/$default/a"),
    ],
)
def test_the_stage_is_no_part_of_the_path(path, stage, expected):
    assert _without_stage(path, stage) == expected


@pytest.mark.parametrize("head, body", [(True, ""), (False, "x")])
def test_an_answer_to_head_has_no_body(head, body):
    event = event_answer(Answer(200, b"x", "text/plain", {"A-B": "c"}), head)
    assert event == {
        "statusCode": 200,
        "headers": {"content-type": "text/plain", "a-b": "c"},
        "body": body,
        "isBase64Encoded": False,
    }
