"""From a request to its answer: its photos go to the model, and its predictions into a body.

The body is of the type that the client accepts.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import Response, jsonify, request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from artifact.answers import Prediction
from artifact.text import people_csv
from serve.inputs import (
    CSV_TYPE,
    JSON_TYPE,
    LINES_TYPE,
    MAX_INSTANCES,
    InputError,
    asks_for_saliency,
    media_type_of,
    top_k_of,
)
from serve.prediction import AnyPredictor
from serve.predictor import MAX_LABELS
from serve.records import Part, records_of
from serve.request_state import KEY, RequestState

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# Of one slice: enough for full batches of the engine, and little memory.
SLICE_PHOTOS = 256
SLICE_BYTES = 8 * 1024 * 1024
OFFERED = (JSON_TYPE, LINES_TYPE, CSV_TYPE)
OFFERED_FOR_LINES = (LINES_TYPE, JSON_TYPE, CSV_TYPE)
ONE_PHOTO = f"this record has several photos, and a row of CSV holds one; accept {JSON_TYPE}"


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


def answer_type(accept: str | None, request_type: str) -> str:
    """The media type of the answer: without a preference JSON, or JSON Lines for JSON Lines.

    Raises InputError 406 where the client accepts none of OFFERED.
    """
    offered = OFFERED_FOR_LINES if request_type == LINES_TYPE else OFFERED
    if not accept or not accept.strip():
        return offered[0]
    preferences = re.sub(r";(?!\s*q\s*=)[^;,]*", "", accept)  # a charset changes nothing here
    chosen = parse_accept_header(preferences, MIMEAccept).best_match(offered)
    if chosen is None:
        raise InputError(
            406,
            f"Accept '{accept[:100]}' cannot be met; ask for one of {', '.join(OFFERED)} or */*",
        )
    return chosen


class AnswerBody:
    """The body of an answer, written prediction by prediction.

    It is one JSON object, one object per line, or one CSV row per photo. A row holds label,
    probability, next label, its probability, and so on. A photo without an answer is
    {"error": "…"}, in CSV `error,"…"`. A label is written as it is, also where a spreadsheet would
    take it for a formula: programs read this.

    by_line: each record gets one line, also as JSON, and also one with several photos.
    """

    def __init__(self, media_type: str, by_line: bool = False):
        self._media_type = media_type
        self._by_line = by_line
        self._record: list[Prediction] = []
        self._written: list[bytes] = []

    def add(self, prediction: Prediction, is_last: bool = True) -> None:
        """Write the next photo's answer. is_last: of its record."""
        if not self._by_line:
            self._written.append(self._one(prediction))
            return
        self._record.append(prediction)
        if is_last:
            self._written.append(self._line(self._record))
            self._record = []

    def whole(self) -> bytes:
        """The body."""
        if self._media_type == JSON_TYPE and not self._by_line:
            return b'{"predictions": [' + b", ".join(self._written) + b"]}\n"
        return b"".join(self._written)

    def _one(self, prediction: Prediction) -> bytes:
        if self._media_type == JSON_TYPE:
            return _json(prediction)
        if self._media_type == LINES_TYPE:
            return _json(prediction) + b"\n"
        return people_csv.line(_row(prediction)).encode()

    def _line(self, record: list[Prediction]) -> bytes:
        if self._media_type == CSV_TYPE and len(record) > 1:
            return people_csv.line(["error", ONE_PHOTO]).encode()
        if self._media_type == JSON_TYPE or len(record) > 1:
            return _json({"predictions": record}) + b"\n"
        return self._one(record[0])


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _row(entry: Prediction) -> list[str | float]:
    if "error" in entry:
        return ["error", entry["error"]]
    row: list[str | float] = []
    if "top" not in entry:  # a user's own function took it away
        raise InputError(406, f"the answer has no 'top' for {CSV_TYPE}; accept {JSON_TYPE}")
    for top in entry["top"]:
        row += [top["label"], top["probability"]]
    return row
