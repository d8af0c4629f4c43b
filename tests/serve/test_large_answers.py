"""A request whose answer would be too large gets 413 and a sentence, by Flask and by MMS."""

import json

import pytest

from serve.app import create_app
from serve.inputs import InputError
from serve.mms.transformer import Transformer, refusal
from serve.predictor import MAX_LABELS, Predictor
from tests.support.colour_model import write_colour_model
from tests.support.servers import instances, photo

CLASSES = 107  # of the yoga poses
PHOTOS = MAX_LABELS // CLASSES + 1
SENTENCE = (
    "468 photos with 107 labels each are too large an answer; "
    "ask for a smaller top_k, or send at most 467 photos"
)


@pytest.fixture(scope="module")
def poses(tmp_path_factory):
    """The folder of an artifact with CLASSES classes."""
    folder = tmp_path_factory.mktemp("poses")
    write_colour_model(folder, {f"pose {number}": (number, 0, 0) for number in range(CLASSES)})
    return folder


@pytest.fixture(scope="module")
def client(poses):
    predictor = Predictor(poses, "f32")
    yield create_app(predictor).test_client()
    predictor.close()


class Context:
    """The part of MMS's context that a transformer uses, for one request."""

    def __init__(self, headers):
        self.headers = headers
        self.status = None
        self.content_type = None

    def get_all_request_header(self, index):
        return self.headers

    def set_response_status(self, code, phrase, index):
        self.status = code

    def set_response_content_type(self, index, value):
        self.content_type = value


def headers(top_k: int) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "X-Amzn-SageMaker-Custom-Attributes": f"top_k={top_k}",
    }


def test_too_many_labels_are_a_413(client):
    body = instances(*[photo()] * PHOTOS)
    answer = client.post("/invocations", data=body, headers=headers(CLASSES))
    assert answer.status_code == 413
    assert answer.json == {"error": SENTENCE}


def test_fewer_photos_are_answered_with_all_their_labels(client):
    body = instances(*[photo()] * 3)
    answer = client.post("/invocations", data=body, headers=headers(CLASSES))
    assert answer.status_code == 200
    assert [len(entry["top"]) for entry in answer.json["predictions"]] == [CLASSES] * 3


def test_too_many_labels_are_a_413_of_mms(poses, monkeypatch):
    monkeypatch.setenv("SLIPWAY_PRECISION", "f32")
    transformer = Transformer()
    transformer.validate_and_initialize(str(poses), None)
    context = Context(headers(CLASSES))
    (answer,) = transformer.transform([{"body": instances(*[photo()] * PHOTOS)}], context)
    assert context.status == 413
    assert context.content_type == "application/json"
    assert json.loads(answer) == {"error": SENTENCE}


def test_an_error_that_mms_does_not_know_is_a_500_without_its_text(caplog):
    assert refusal(InputError(406, "ask for another type")) == (406, "ask for another type")
    status, sentence = refusal(RuntimeError("secret detail"))
    assert status == 500
    assert "secret" not in sentence
    assert "secret detail" in caplog.text
