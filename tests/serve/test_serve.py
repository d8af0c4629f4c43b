"""The app by a test client: what each path answers. The server around it: test_server.py."""

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from serve.answering import ServingLimits
from serve.app import create_app
from serve.hooks import NO_HOOKS
from serve.predictor import Predictor
from tests.support.jobs import COLOURS
from tests.support.servers import b64, instances, photo


@pytest.fixture(scope="module")
def predictor(colours):
    predictor = Predictor(colours.model)
    yield predictor
    predictor.close()


def error_in(answer: TestResponse) -> str:
    return json.loads(answer.data)["error"]


def predictions_in(answer: TestResponse) -> list[dict[str, Any]]:
    return json.loads(answer.data)["predictions"]


@pytest.fixture(scope="module")
def client(predictor):
    return create_app(predictor, ServingLimits(max_payload_mb=0.4)).test_client()


def test_ping_is_200_and_empty(client):
    answer = client.get("/ping")
    assert answer.status_code == 200
    assert answer.data == b""


def test_ping_is_503_once_the_engine_has_died(colours):
    predictor = Predictor(colours.model)
    client = create_app(predictor).test_client()
    assert client.post("/invocations", data=photo(), content_type="image/jpeg").status_code == 200
    predictor.engine.close()  # as a driver that is lost: every run fails from now on
    answer = client.post("/invocations", data=photo(), content_type="image/jpeg")
    assert answer.status_code == 503
    assert "the engine" in error_in(answer)
    answer = client.get("/ping")
    assert answer.status_code == 503
    assert "the model does not answer" in error_in(answer)
    assert (
        client.post("/invocations", data=photo(), content_type="image/jpeg").headers["Retry-After"]
        == "10"
    )


@pytest.mark.parametrize(
    "content_type, kind",
    [
        ("image/jpeg", "JPEG"),
        ("image/png", "PNG"),
        ("image/webp", "WEBP"),
        ("image/gif", "GIF"),
        ("image/bmp", "BMP"),
        ("image/tiff", "TIFF"),
        ("application/x-image", "JPEG"),
        ("application/octet-stream", "PNG"),
        ("image/jpeg; charset=binary", "JPEG"),
        ("IMAGE/JPEG", "JPEG"),
        # The content type is a claim: the photo's own bytes decide.
        ("image/jpeg", "PNG"),
    ],
)
@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_a_photo_is_answered_with_its_label(client, content_type, kind, colour):
    answer = client.post("/invocations", data=photo(colour, kind), content_type=content_type)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    (prediction,) = predictions_in(answer)
    assert prediction["label"] == colour == prediction["top"][0]["label"]
    assert prediction["probability"] == prediction["top"][0]["probability"]
    probabilities = [entry["probability"] for entry in prediction["top"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-4)
    assert {entry["label"] for entry in prediction["top"]} == set(COLOURS)


def test_many_instances_are_answered_in_their_order(client):
    answer = client.post(
        "/invocations",
        data=instances(photo("red"), photo("blue", "PNG"), photo("green")),
        content_type="application/json",
    )
    assert [prediction["label"] for prediction in predictions_in(answer)] == [
        "red",
        "blue",
        "green",
    ]


@pytest.mark.parametrize(
    "mode, kind",
    [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG")],
)
def test_photos_of_every_mode_are_answered(client, mode, kind):
    assert (
        client.post(
            "/invocations", data=photo("red", kind, mode), content_type="application/x-image"
        ).status_code
        == 200
    )


@pytest.mark.parametrize(
    "content_type, body, status, words",
    [
        ("image/jpeg", b"", 400, "the body is empty"),
        ("image/jpeg", b"no photo", 422, "it is text, not a photo"),
        ("image/jpeg", photo()[:300], 422, "not a complete photo"),
        (
            "image/jpeg",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            # What a checkout without Git LFS has in a photo's place.
            422,
            "Git LFS pointer",
        ),
        (
            # Pillow would start Ghostscript for it.
            "image/jpeg",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            422,
            "it is a drawing, not a photo",
        ),
        ("text/csv", b"1,2", 415, "send one of image/jpeg"),
        ("application/json", b"{", 400, "not JSON"),
        (
            "application/json",
            instances(photo(), b"x"),
            422,
            # The number tells which of several photos it is.
            "instance 1: it is not a complete photo",
        ),
        # 81 million pixels in a small file.
        ("image/png", photo(kind="PNG", size=(9000, 9000)), 422, "9000 x 9000 pixels"),
        ("image/jpeg", b"x" * 500_000, 413, "larger than 0.4 MB"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence_and_a_4xx(
    client, content_type, body, status, words
):
    answer = client.post("/invocations", data=body, content_type=content_type)
    assert answer.status_code == status
    assert answer.content_type == "application/json"
    assert words in error_in(answer)
    assert "\n" not in error_in(answer)
    assert list(answer.json) == ["error"]


@pytest.mark.parametrize(
    "accept, content_type",
    [
        ("text/csv", "text/csv"),
        ("application/jsonlines", "application/jsonlines"),
        ("*/*", "application/json"),
    ],
)
def test_the_answer_comes_in_the_type_that_is_accepted(client, accept, content_type):
    answer = client.post(
        "/invocations",
        data=instances(photo("red"), photo("blue")),
        content_type="application/json",
        headers={"Accept": accept},
    )
    assert answer.status_code == 200
    assert answer.content_type == content_type
    first = answer.text.splitlines()[0]
    assert first.startswith("red,0.") if accept == "text/csv" else '"label": "red"' in first


def test_an_accept_or_a_top_k_that_cannot_be_met_is_refused_before_the_work(client):
    headers = {"Accept": "image/png"}
    assert (
        client.post(
            "/invocations", data=photo(), content_type="image/jpeg", headers=headers
        ).status_code
        == 406
    )
    headers = {"X-Amzn-SageMaker-Custom-Attributes": "top_k=none"}
    assert (
        client.post(
            "/invocations", data=photo(), content_type="image/jpeg", headers=headers
        ).status_code
        == 400
    )


@pytest.mark.parametrize("top_k, labels", [(1, 1), (2, 2), (99, 3)])
def test_top_k_labels_are_answered(client, top_k, labels):
    headers = {"X-Amzn-SageMaker-Custom-Attributes": f"top_k={top_k}"}
    answer = client.post("/invocations", data=photo(), content_type="image/jpeg", headers=headers)
    assert len(predictions_in(answer)[0]["top"]) == labels


def test_in_batch_transform_a_bad_record_is_an_error_record(predictor):
    # A batch transform job fails at the first answer that is no 200.
    client = create_app(predictor, ServingLimits(tolerant=True)).test_client()
    lines = b"\n".join(
        [
            json.dumps({"b64": b64(photo("red"))}).encode(),
            b"{",
            json.dumps({"b64": b64(b"x")}).encode(),
            json.dumps(b64(photo("green"))).encode(),
        ]
    )
    answer = client.post("/invocations", data=lines, content_type="application/jsonlines")
    assert answer.status_code == 200
    assert answer.content_type == "application/jsonlines"
    records = [json.loads(line) for line in answer.text.splitlines()]
    assert [record.get("label") for record in records] == ["red", None, None, "green"]
    assert records[1]["error"].startswith("line 2 of its request: the body is not JSON")
    assert "not a complete photo" in records[2]["error"]
    # A photo alone is answered like a record.
    alone = client.post("/invocations", data=b"no photo", content_type="image/jpeg")
    assert alone.status_code == 200
    assert "it is text, not a photo" in predictions_in(alone)[0]["error"]
    empty = client.post("/invocations", data=b"", content_type="image/jpeg")
    assert predictions_in(empty)[0]["error"].startswith("the body is empty")
    # No record is at fault here: the request itself is.
    assert client.post("/invocations", data=photo(), content_type="text/csv").status_code == 415


@pytest.mark.parametrize(
    "limits, expected",
    [
        (
            ServingLimits(transforms=4),
            {"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6},
        ),
        (
            # All requests together may have 100 MB at most.
            ServingLimits(max_payload_mb=50, transforms=8),
            {"MaxConcurrentTransforms": 2, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 50},
        ),
        (
            ServingLimits(max_payload_mb=500),
            {"MaxConcurrentTransforms": 1, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 100},
        ),
    ],
)
def test_execution_parameters_keep_within_what_sagemaker_allows(predictor, limits, expected):
    assert create_app(predictor, limits).test_client().get("/execution-parameters").json == expected


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("get", "/", 404),
        ("post", "/ping", 405),
        ("get", "/invocations", 405),
        ("get", "/models", 404),
    ],
)
def test_other_paths_and_methods_say_what_there_is(client, method, path, status):
    answer = getattr(client, method)(path)
    assert answer.status_code == status
    assert "there is GET /ping, " in error_in(answer)
    assert "POST /invocations" in error_in(answer)


def test_a_fault_of_the_server_is_a_500_without_a_traceback(caplog):
    class Broken:
        hooks = NO_HOOKS

        def predict(self, *arguments):
            raise RuntimeError("secret detail")

    broken: Any = Broken()
    client = create_app(broken).test_client()
    answer = client.post("/invocations", data=photo(), content_type="image/jpeg")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_what_is_offered_is_described(client):
    described = client.get("/openapi.json").json
    assert set(described["paths"]) == {
        "/ping",
        "/metrics",
        "/openapi.json",
        "/invocations",
        "/execution-parameters",
    }
    assert described["openapi"].startswith("3.1")
