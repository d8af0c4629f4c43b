"""A request whose answer would be too large gets 413 and a sentence, by Flask and by MMS."""

from typing import Any

import pytest

from serve.app import create_app
from serve.mms.exchange import Work, hand_over, unpacked_answer
from serve.mms.transformer import Transformer
from serve.predictor import MAX_LABELS, Predictor
from serve.request_state import TooManyPhotos
from tests.support.colour_model import write_colour_model
from tests.support.mms_stand_in import Context
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


def test_too_many_labels_come_from_a_worker_of_mms_as_the_same_error(poses, monkeypatch, tmp_path):
    monkeypatch.setenv("SLIPWAY_PRECISION", "f32")
    hand_over(tmp_path / "own", poses)
    context: Any = Context()
    transformer = Transformer()
    transformer.validate_and_initialize(str(tmp_path / "own"), context)
    work = Work([photo()] * PHOTOS, CLASSES, 60, tolerant=False)
    (answer,) = transformer.transform([{"body": work.packed()}], context)
    with pytest.raises(TooManyPhotos) as caught:
        unpacked_answer(answer)
    assert str(caught.value) == SENTENCE
