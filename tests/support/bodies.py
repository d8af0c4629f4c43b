"""Bodies of requests to photos and predictions to bodies of answers, whole."""

from collections.abc import Sequence

from artifact.answers import Prediction
from serve.answering import AnswerBody
from serve.inputs import media_type_of
from serve.records import records_of


def photos_of(content_type: str, body: bytes, tolerant: bool = False) -> list[bytes | Exception]:
    """The photos in a body, or their errors."""
    records = records_of(media_type_of(content_type), content_type, body, tolerant)
    return [part.photo for part in records.parts]


def render(predictions: Sequence[Prediction], media_type: str) -> bytes:
    """The body of an answer."""
    body = AnswerBody(media_type)
    for prediction in predictions:
        body.add(prediction)
    return body.whole()
