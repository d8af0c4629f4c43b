"""Errors and the statuses that they become, in Flask; the predictor is a stand-in."""

from types import SimpleNamespace
from typing import Any

import pytest

from artifact.photos.kinds import PhotoError
from serve.answering import ServingLimits
from serve.app import MIB, create_app
from serve.batching import EngineDead
from serve.hooks import NO_HOOKS
from serve.inputs import InputError
from serve.request_state import ClientGone, Overloaded, TooManyPhotos


def client_of(error: Exception | None = None, fault: str | None = None, **limits: Any) -> Any:
    """A test client of an app whose predictor raises the error."""

    def predict(*arguments: object) -> list[dict[str, str]]:
        if error:
            raise error
        return [{"label": "a"}]

    batcher = SimpleNamespace(fault=lambda: fault)
    fake: Any = SimpleNamespace(predict=predict, batcher=batcher, hooks=NO_HOOKS)
    return create_app(fake, ServingLimits(**limits)).test_client()


@pytest.mark.parametrize(
    "error, status, retry_after, sentence",
    [
        # Rounded up: earlier the client would come too soon.
        (Overloaded(7.6), 503, "8", "the server is busy; ask again in 8 s"),
        (EngineDead("it died"), 503, "10", "it died"),
        (TooManyPhotos("send fewer"), 413, None, "send fewer"),
        # Nobody reads it, but the log has it.
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
    # What a client sends must not fill answers and logs.
    lost = client.get("/" + "p" * 200)
    assert lost.status_code == 404
    assert f"there is nothing at /{'p' * 99}; there is " in lost.get_json()["error"]
    assert "GET /ping, " in lost.get_json()["error"]
    wrong = client.open("/ping", method="M" * 30)
    assert wrong.status_code == 405
    assert wrong.get_json()["error"].startswith(f"{'M' * 20} is not served at /ping; there is")
    assert "GET" in wrong.headers["Allow"]


@pytest.mark.parametrize("length, status", [(MIB // 2, 200), (MIB // 2 + 1, 413)])
# The gateway before it counts already; Flask alone must, too.
def test_flask_has_the_limit_too(length, status):
    client = client_of(max_payload_mb=0.5)
    answer = client.post("/invocations", data=b"x" * length, content_type="image/png")
    assert answer.status_code == status
    if status == 413:
        assert "the body is larger than 0.5 MB" in answer.get_json()["error"]


@pytest.mark.parametrize(
    "payload_mb, transforms, expected",
    # At most 100 MB in all requests together.
    [(6, 4, (4, 6)), (0.5, 4, (4, 1)), (100, 4, (1, 100)), (200, 4, (1, 100)), (50, 4, (2, 50))],
)
def test_a_batch_transform_job_keeps_below_a_hundred_megabytes(payload_mb, transforms, expected):
    client = client_of(max_payload_mb=payload_mb, transforms=transforms)
    answer = client.get("/execution-parameters").get_json()
    assert answer["MaxConcurrentTransforms"] == expected[0]
    assert answer["MaxPayloadInMB"] == expected[1]
    assert answer["BatchStrategy"] == "SINGLE_RECORD"
