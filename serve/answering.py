"""From a request to its answer: its photos go to the model, and its predictions into a body."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Response, jsonify, request

from artifact.answers import Prediction
from serve.inputs import (
    JSON_TYPE,
    MAX_INSTANCES,
    InputError,
    asks_for_saliency,
    media_type_of,
    top_k_of,
)
from serve.outputs import AnswerBody, answer_type
from serve.prediction import AnyPredictor
from serve.predictor import MAX_LABELS
from serve.records import Part, records_of
from serve.request_state import KEY, RequestState

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# Of one slice: enough for full batches of the engine, and little memory.
SLICE_PHOTOS = 256
SLICE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class ServingLimits:
    """max_payload_mb: of a body, in MiB. timeout_s: of a request, in seconds.

    tolerant: for batch transform: a bad record gets an error record, and the file goes on.
    in_slices: a body may hold any number of photos, of which a slice is in memory at a time. It is
    meant for requests that SageMaker gives minutes.
    transforms: how many requests a batch transform job should send at once.
    """

    max_payload_mb: float = 6.0
    timeout_s: float = 60.0
    tolerant: bool = False
    transforms: int = 4
    in_slices: bool = False


DEFAULT_LIMITS = ServingLimits()


def answered(predictor: AnyPredictor, limits: ServingLimits) -> Response:
    """The answer to the current request's photos."""
    hooks = predictor.hooks
    # headers first: a request that cannot be answered must not cost any work
    attributes = request.headers.get(ATTRIBUTES)
    top_k = top_k_of(attributes)
    wants_saliency = asks_for_saliency(attributes)
    body, content_type = hooks.request(request.get_data(cache=False), request.content_type or "")
    media_type = media_type_of(content_type)
    answers = answer_type(request.headers.get("Accept"), media_type)
    most = None if limits.in_slices else MAX_INSTANCES
    records = records_of(media_type, content_type, body, limits.tolerant, most)
    # the gateway puts the state there; a test client does not
    state = request.environ.get(KEY) or RequestState.lasting(limits.timeout_s)
    if wants_saliency:
        return _saliency(predictor, records.parts, answers, state)
    written = AnswerBody(answers, records.by_line)
    for parts in _slices(records.parts, predictor, top_k, limits):
        predictions = _predictions(predictor, parts, top_k, state, limits.tolerant)
        for part, prediction in zip(parts, predictions, strict=True):
            written.add(hooks.answer(prediction), part.is_last)
    return Response(written.whole(), content_type=answers)


def _saliency(
    predictor: AnyPredictor, parts: Iterable[Part], answers: str, state: RequestState
) -> Response:
    """Which parts of the request's one photo decide, as {"saliency": …}."""
    if answers != JSON_TYPE:
        raise InputError(406, f"saliency=true is answered in {JSON_TYPE} alone; accept that")
    first, *others = parts
    if others:
        raise InputError(400, "saliency=true is for one photo; send the others by themselves")
    if isinstance(first.photo, Exception):
        raise first.photo
    return jsonify(saliency=predictor.saliency(first.photo, state))


def _slices(
    parts: Iterable[Part], predictor: AnyPredictor, top_k: int, limits: ServingLimits
) -> Iterable[list[Part]]:
    """What goes to the model at a time: all, where requests are short."""
    if not limits.in_slices:
        return [list(parts)]
    labels = min(top_k, len(predictor.description.classes))
    return sliced(parts, min(SLICE_PHOTOS, max(1, MAX_LABELS // labels)))


def sliced(parts: Iterable[Part], most: int) -> Iterator[list[Part]]:
    """The parts in order, a few at a time: at most that many, and at least one."""
    current: list[Part] = []
    held = 0
    for part in parts:
        size = len(part.photo) if isinstance(part.photo, bytes) else 0
        if current and (len(current) >= most or held + size > SLICE_BYTES):
            yield current
            current = []
            held = 0
        current.append(part)
        held += size
    if current:
        yield current


def _predictions(
    predictor: AnyPredictor, parts: list[Part], top_k: int, state: RequestState, tolerant: bool
) -> list[Prediction]:
    photos = [part.photo for part in parts]
    places = [part.place for part in parts]
    return predictor.predict(photos, top_k, state, tolerant, places)
