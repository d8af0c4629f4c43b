"""Requests at the bounds of what is read, and the statuses that errors become."""

import json
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from artifact.model import Description
from artifact.preprocessing import PhotoError, Preprocessing
from serve import inputs, predictor
from serve.app import MIB, ServingLimits, create_app
from serve.batching import EngineDead
from serve.inputs import InputError, media_type_of, photos_of, top_k_of
from serve.outputs import answer_type, render
from serve.predictor import Predictor, SharedLimits
from serve.request_state import ClientGone, Overloaded, RequestState, TooManyPhotos
from tests.serve.test_inputs import form

FORM = "multipart/form-data; boundary=edge"


@pytest.mark.parametrize(
    "content_type, media_type",
    [
        ("image/pjpeg", "image/jpeg"),
        ("image/x-png", "image/png"),
        ("image/x-ms-bmp", "image/bmp"),
        ("image/x-bmp", "image/bmp"),
        ("image/tif", "image/tiff"),
        ("application/jsonl", "application/jsonlines"),
        ("application/x-jsonlines", "application/jsonlines"),
        ("Application/JSON;charset=x;y", "application/json"),
    ],
)
def test_other_names_of_a_type_are_taken(content_type, media_type):
    assert media_type_of(content_type) == media_type


def test_a_long_type_is_cut_in_the_sentence():
    with pytest.raises(InputError) as caught:
        media_type_of("a" * 101)
    assert f"'{'a' * 100}' is not taken" in str(caught.value)


@pytest.mark.parametrize("digits, expected", [("1", 1), ("123456789", 123456789)])
def test_top_k_of_nine_digits(digits, expected):
    assert top_k_of(f"top_k={digits}") == expected
    assert top_k_of(f"a=b;top_k={digits}0000000000") >= expected


def test_a_long_top_k_is_cut_in_the_sentence():
    with pytest.raises(InputError) as caught:
        top_k_of("top_k=" + "x" * 21)
    assert f"has top_k='{'x' * 20}'; send a whole number from 1, such as top_k=5" in str(
        caught.value
    )


@pytest.mark.parametrize(
    "content_type, body",
    [
        ("application/json", json.dumps(["aaaa"] * 1000).encode()),
        ("application/jsonlines", b'"aaaa"\n' * 1000),
        (FORM, form(*[b"x"] * 1000)),
    ],
)
def test_a_thousand_photos_are_taken(content_type, body):
    assert len(photos_of(content_type, body)) == 1000


def test_too_many_photos_are_refused_in_batch_transform_too():
    with pytest.raises(InputError) as caught:
        photos_of("application/jsonlines", b'"aaaa"\n' * 1001, tolerant=True)
    assert caught.value.status == 413


@pytest.mark.parametrize("length, taken", [(999_000, True), (1_000_100, False)])
def test_a_form_holds_a_megabyte_of_text(length, taken):
    head = b'--edge\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
    body = head + b"x" * length + b"\r\n" + form(b"photo")
    if taken:
        assert photos_of(FORM, body) == [b"photo"]
        return
    with pytest.raises(InputError, match="over 1 MB outside its files") as caught:
        photos_of(FORM, body)
    assert caught.value.status == 413


@pytest.mark.parametrize("length, alone", [(500_000, False), (500_001, True)])
def test_large_bodies_are_parsed_one_after_the_other(monkeypatch, length, alone):
    lock = threading.Lock()
    held: list[bool] = []
    monkeypatch.setattr(inputs, "_parsing", lock)

    def parsed(body: bytes) -> list[object]:
        held.append(lock.locked())
        return ["aaaa"]

    monkeypatch.setattr(inputs, "_instances", parsed)
    assert photos_of("application/json", b"x" * length) == [b"i\xa6\x9a"]
    assert held == [alone]
    assert not lock.locked()


@pytest.mark.parametrize(
    "record, photo",
    [
        ({"instances": ["aaaa"]}, b"i\xa6\x9a"),
        ({"b64": "data:image/png;base64,aaaa"}, b"i\xa6\x9a"),
        ("a-_a", b"k\xef\xda"),
        ("aa", b"i"),
        ("aaa=", b"i\xa6"),
        (" aa\naa ", b"i\xa6\x9a"),
        ("", b""),
    ],
)
def test_base64_in_all_its_ways(record, photo):
    assert photos_of("application/jsonlines", json.dumps(record).encode()) == [photo]


@pytest.mark.parametrize(
    "record", [{"instances": []}, {"instances": ["aaaa", "aaaa"]}, {"instances": "aaaa"}, 1, None]
)
def test_a_line_holds_one_photo(record):
    with pytest.raises(InputError, match="line 0: no text under 'b64'"):
        photos_of("application/jsonlines", json.dumps(record).encode())


def test_long_errors_are_cut(monkeypatch):
    def failing(*arguments: object, **options: object) -> None:
        raise ValueError("y" * 101)

    for module in ("json.loads", "base64.b64decode"):
        with monkeypatch.context() as patch:
            patch.setattr(f"serve.inputs.{module}", failing)
            with pytest.raises(InputError) as caught:
                photos_of("application/json", b'{"b64": "aaaa"}')
        assert f"({'y' * 100})" in str(caught.value)
    with pytest.raises(InputError) as caught:
        answer_type("z" * 101, "image/jpeg")
    assert f"Accept '{'z' * 100}' cannot be met" in str(caught.value)


def test_an_empty_accept_is_none():
    assert answer_type(" ", "application/jsonlines") == "application/jsonlines"
    assert answer_type("", "image/png") == "application/json"


def test_letters_stay_as_they_are():
    assert (
        render([{"error": "ü"}], "application/json")
        == '{"predictions": [{"error": "ü"}]}\n'.encode()
    )
    assert render([{"error": "ü"}] * 2, "application/jsonlines") == '{"error": "ü"}\n'.encode() * 2


def client_of(error: Exception | None = None, fault: str | None = None, **limits: Any) -> Any:
    """A test client of an app whose predictor raises the error."""

    def predict(*arguments: object) -> list[dict[str, str]]:
        if error:
            raise error
        return [{"label": "a"}]

    batcher = SimpleNamespace(fault=lambda: fault)
    fake: Any = SimpleNamespace(predict=predict, batcher=batcher)
    return create_app(fake, ServingLimits(**limits)).test_client()


@pytest.mark.parametrize(
    "error, status, retry_after, sentence",
    [
        (Overloaded(7.6), 503, "8", "the server is busy; ask again in 8 s"),
        (EngineDead("it died"), 503, "10", "it died"),
        (TooManyPhotos("send fewer"), 413, None, "send fewer"),
        (ClientGone(), 499, None, "the client has gone"),
        (InputError(418, "no tea"), 418, None, "no tea"),
        (PhotoError("it is empty"), 422, None, "the photo cannot be used: it is empty"),
        (KeyError("x"), 500, None, "the server failed on this request; its log says why"),
    ],
)
def test_errors_become_statuses(error, status, retry_after, sentence):
    answer = client_of(error).post("/invocations", data=b"x", content_type="image/png")
    assert answer.status_code == status
    assert answer.get_json() == {"error": sentence}
    assert answer.headers.get("Retry-After") == retry_after


def test_an_overload_is_counted():
    client = client_of(Overloaded(1))
    client.post("/invocations", data=b"x", content_type="image/png")
    text = client.get("/metrics").get_data(as_text=True)
    assert 'slipway_rejections_total{reason="overload"} 1.0' in text
    assert 'slipway_rejections_total{reason="too_slow"} 0.0' in text


def test_ping_names_the_fault():
    assert client_of().get("/ping").status_code == 200
    answer = client_of(fault="it hangs").get("/ping")
    assert answer.status_code == 503
    assert answer.get_json() == {"error": "the model does not answer: it hangs"}


def test_a_wrong_path_or_method_is_cut_in_the_sentence():
    client = client_of()
    lost = client.get("/" + "p" * 200)
    assert lost.status_code == 404
    assert f"there is nothing at /{'p' * 99}; there is " in lost.get_json()["error"]
    assert "GET /ping, " in lost.get_json()["error"]
    wrong = client.open("/ping", method="M" * 30)
    assert wrong.status_code == 405
    assert wrong.get_json()["error"].startswith(f"{'M' * 20} is not served at /ping; there is")
    assert "GET" in wrong.headers["Allow"]


@pytest.mark.parametrize("length, status", [(MIB // 2, 200), (MIB // 2 + 1, 413)])
def test_flask_has_the_limit_too(length, status):
    client = client_of(max_payload_mb=0.5)
    answer = client.post("/invocations", data=b"x" * length, content_type="image/png")
    assert answer.status_code == status
    if status == 413:
        assert "the body is larger than 0.5 MB" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "payload_mb, transforms, expected",
    [(6, 4, (4, 6)), (0.5, 4, (4, 1)), (100, 4, (1, 100)), (200, 4, (1, 100)), (50, 4, (2, 50))],
)
def test_a_batch_transform_job_keeps_below_a_hundred_megabytes(payload_mb, transforms, expected):
    client = client_of(max_payload_mb=payload_mb, transforms=transforms)
    answer = client.get("/execution-parameters").get_json()
    assert answer["MaxConcurrentTransforms"] == expected[0]
    assert answer["MaxPayloadInMB"] == expected[1]
    assert answer["BatchStrategy"] == "SINGLE_RECORD"


@pytest.mark.parametrize(
    "bytes_, expected", [(10**12, 40_000_000), (1_600_000_000, 40_000_000), (8 * 10**8, 20_000_000)]
)
def test_a_photo_may_take_a_share_of_the_memory(monkeypatch, bytes_, expected):
    monkeypatch.setattr(predictor, "memory_limit", lambda: bytes_)
    shared = SharedLimits(3)
    assert shared.max_pixels == expected
    assert shared.count == 3
    taken = [shared.decoding.acquire(blocking=False) for _ in range(4)]
    assert taken == [True, True, True, False]
    assert [shared.large.acquire(blocking=False) for _ in range(2)] == [True, False]


def unopened(classes: int, multi_label: bool = False) -> Predictor:
    """A predictor without an engine."""
    made = object.__new__(Predictor)
    names = tuple(f"c{number}" for number in range(classes))
    made.description = Description(names, Preprocessing(4, 4), "none", multi_label=multi_label)
    return made


@pytest.mark.parametrize(
    "photos, top_k, refused",
    [
        (50_000, 1, None),
        (50_001, 1, "50001 photos with 1 labels each are too large an answer; "),
        (16_666, 5, None),
        (16_667, 5, "ask for a smaller top_k, or send at most 16666 photos"),
    ],
)
def test_an_answer_holds_fifty_thousand_labels(photos, top_k, refused):
    if refused is None:
        unopened(3)._check_size(photos, top_k)
        return
    with pytest.raises(TooManyPhotos, match=refused):
        unopened(3)._check_size(photos, top_k)


def test_labels_are_named_best_first():
    import numpy as np

    answer = unopened(4, True)._named(np.array([0.5, 0.6, 0.6, 0.51], np.float32), 3)
    assert answer["label"] == "c1"
    assert answer["probability"] == pytest.approx(0.6)
    assert [top["label"] for top in answer["top"]] == ["c1", "c2", "c3"]
    assert answer["labels"] == ["c1", "c2", "c3"]  # above one half
    assert "labels" not in unopened(2)._named(np.array([0.5, 0.5], np.float32), 1)
    with pytest.raises(RuntimeError, match="the model's probabilities are not all numbers"):
        unopened(2)._named(np.array([np.nan, 0.5], np.float32), 1)


def test_a_slot_that_does_not_come_free_is_an_overload():
    lock = threading.Semaphore(1)
    with predictor._acquired(lock, RequestState.lasting(1)):
        with (
            pytest.raises(Overloaded) as caught,
            predictor._acquired(lock, RequestState.lasting(0)),
        ):
            pass
        assert caught.value.retry_after_s == 1
    gone = RequestState.lasting(1)
    gone.abandoned.set()
    with pytest.raises(ClientGone), predictor._acquired(lock, gone):
        pass
    assert lock.acquire(blocking=False)


@pytest.mark.parametrize("seconds, retry", [(0, 1), (1.4, 1), (1.6, 2), (20, 20)])
def test_an_overload_says_when_to_ask_again(seconds, retry):
    assert Overloaded(seconds).retry_after_s == retry
    assert str(Overloaded(seconds)) == f"the server is busy; ask again in {retry} s"


def test_a_states_times():
    state = RequestState.lasting(100)
    assert 99 < state.left_s() <= 100
    state.check()
    state.add("read", 1)
    state.add("read", 2)
    assert state.stages == {"read": 3}
    late = RequestState.lasting(-1)
    assert late.left_s() == 0
    with pytest.raises(Overloaded) as caught:
        late.check()
    assert caught.value.retry_after_s == 1
