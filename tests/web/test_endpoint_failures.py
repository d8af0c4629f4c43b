"""Trouble with the endpoint behind the Lambda function, and its meaning for the client."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.api_gateway import event_2
from tests.support.aws import ENDPOINT
from tests.support.lambda_requests import EVENTS, JPEG, ask
from tests.support.servers import photo
from web.aws import handler
from web.aws.endpoint import failure_of, prediction_in, saliency_in
from web.exchange import Failure


@EVENTS
def test_the_containers_own_reason_is_unwrapped(site, cloud, event):
    status, answer = ask(
        event("POST", "/classify", photo(size=(300, 300))[:-400] + b"broken", JPEG)
    )
    direct, reason = cloud.model.invoke(photo(size=(300, 300))[:-400] + b"broken")
    assert (status, answer) == (direct, reason)
    assert status == 422
    assert "424" not in answer["error"]


TROUBLE = {
    "cold": (
        (429, "ModelNotReadyException", "Model is not ready for inference."),
        503,
        "30",
        "the model is starting",
    ),
    "missing": (
        (400, "ValidationError", f"Endpoint {ENDPOINT} of account 123456789012 not found."),
        503,
        "30",
        "not in service",
    ),
    "updating": (
        (400, "ValidationError", "Endpoint is in status Updating"),
        503,
        "30",
        "not in service",
    ),
    "busy": ((503, "ServiceUnavailable", "Service Unavailable"), 503, "5", "busy"),
    "throttled": ((400, "ThrottlingException", "Rate exceeded"), 503, "5", "busy"),
    "internal": ((530, "InternalDependencyException", "…"), 503, "5", "busy"),
    "large": ((413, "", "Request entity too large"), 413, None, "at most 4 MB"),
    "forbidden": (
        (
            403,
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/x is not authorized",
        ),
        500,
        None,
        "its log says why",
    ),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_trouble_with_the_endpoint_is_one_sentence_with_the_right_status(site, cloud, case):
    cloud.trouble, status, retry_after, words = TROUBLE[case]
    answer = handler.handle(event_2("POST", "/classify", photo(), JPEG))
    assert answer["statusCode"] == status
    assert answer["headers"].get("retry-after") == retry_after
    assert words in json.loads(answer["body"])["error"]
    assert "arn:" not in answer["body"]
    assert len(cloud.invoked) == 1
    assert handler.handle(event_2("GET", "/healthz"))["statusCode"] == status


@pytest.mark.parametrize(
    ("original", "status", "words"),
    [
        (500, 502, "failed: it broke"),
        (503, 503, "it broke"),
        (404, 502, "failed"),
        (415, 415, "it broke"),
    ],
)
def test_what_the_container_refuses_keeps_its_meaning(site, original, status, words):
    wrapped: Any = {  # Any: botocore has no type for ModelError's own fields
        "Error": {"Code": "ModelError", "Message": "Received"},
        "OriginalStatusCode": original,
        "OriginalMessage": '{"error": "it broke"}',
    }
    failure = failure_of(ClientError(wrapped, "InvokeEndpoint"))
    assert failure.status == status
    assert words in str(failure)
    wrapped["OriginalMessage"] = "it broke\n badly"
    failure = failure_of(ClientError(wrapped, "InvokeEndpoint"))
    assert words[:6] in str(failure)


@pytest.mark.parametrize(
    "text", [b"[0.1, 0.9]", b'{"predictions": []}', b'{"predictions": [{"label": "red"}]}', b"\xff"]
)
def test_an_answer_of_a_foreign_endpoint_is_told(text):
    with pytest.raises(Failure, match="not that of slipway-serve") as caught:
        prediction_in(text)
    assert caught.value.status == 502


def test_an_image_that_does_not_say_which_parts_decide_is_said_so():
    with pytest.raises(Failure, match="image is older than this page") as caught:
        saliency_in(b'{"predictions": [{"label": "red"}]}')
    assert caught.value.status == 404


def test_an_endpoint_that_cannot_be_reached_is_told(site, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    handler.site.cache_clear()
    answer = handler.handle(event_2("POST", "/classify", photo(), JPEG))
    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "5"
