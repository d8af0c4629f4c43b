"""The Flask app behind SageMaker's contract: /ping, /invocations and what else its callers ask for.

It is given a ready predictor, or the models of a multi-model endpoint: that this app exists means that it can answer.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from artifact.preprocessing import PhotoError
from serve.batching import EngineDead
from serve.inputs import ACCEPTED, InputError, media_type_of, photos_of, top_k_of
from serve.metrics import Metrics
from serve.openapi import document
from serve.outputs import answer_type, render
from serve.request_state import KEY, ClientGone, Overloaded, RequestState, TooManyPhotos

if TYPE_CHECKING:
    from serve.predictor import Predictor

METHODS = ("get", "post", "delete")
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
BATCH_PAYLOADS_MB = 100  # what SageMaker allows of concurrent transforms x payload

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServingLimits:
    """max_payload_mb: of a body, in MiB. timeout_s: of a request. tolerant: batch transform, where a bad record is
    answered with an error record and does not fail the file. transforms: how many to send at once."""

    max_payload_mb: float = 6.0
    timeout_s: float = 60.0
    tolerant: bool = False
    transforms: int = 4


@dataclass(frozen=True)
class Page:
    """The page for people. samples: a folder of photos, one folder a label; sure_from: the least probability that it calls sure."""

    samples: Path | None = None
    sure_from: float = 0.5


def create_app(
    predictor: "Predictor",
    limits: ServingLimits = ServingLimits(),
    metrics: Metrics | None = None,
    page: Page | None = None,
) -> Flask:
    """The WSGI app around one predictor; with a page if one is given."""
    app = base_app(limits, metrics or Metrics(), multi_model=False, page=page is not None)
    if page:
        from serve.page import add_page

        add_page(app, predictor, page.samples, page.sure_from)

    @app.get("/ping")
    def ping() -> Response:
        fault = predictor.batcher.fault()
        return (
            refusal(503, f"the model does not answer: {fault}") if fault else Response(status=200)
        )

    @app.post("/invocations")
    def invocations() -> Response:
        return answered(predictor, limits)

    @app.get("/execution-parameters")
    def execution_parameters() -> Response:
        payload_mb = max(1, min(int(limits.max_payload_mb), BATCH_PAYLOADS_MB))
        return jsonify(
            MaxConcurrentTransforms=max(1, min(limits.transforms, BATCH_PAYLOADS_MB // payload_mb)),
            BatchStrategy="SINGLE_RECORD",
            MaxPayloadInMB=payload_mb,
        )

    return app


def base_app(
    limits: ServingLimits, metrics: Metrics, multi_model: bool, page: bool = False
) -> Flask:
    """What single- and multi-model servers have in common: numbers, description, and errors as one sentence."""
    app = Flask("serve")
    app.config["MAX_CONTENT_LENGTH"] = int(limits.max_payload_mb * 1024 * 1024)
    paths = document(multi_model, limits.max_payload_mb, page)

    @app.get("/metrics")
    def numbers() -> Response:
        body, content_type = metrics.text()
        return Response(body, content_type=content_type)

    @app.get("/openapi.json")
    def description() -> Response:
        return jsonify(paths)

    known = ", ".join(
        f"{method.upper()} {path}"
        for path, methods in paths["paths"].items()
        for method in methods
        if method in METHODS
    )

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        sentences = {
            404: f"there is nothing at {request.path[:100]}; there is {known}",
            405: f"{request.method[:20]} is not served at {request.path[:100]}; there is {known}",
            413: too_large(limits.max_payload_mb),
        }
        answer = refusal(error.code, sentences.get(error.code, error.description or error.name))
        answer.headers.extend(
            (name, value) for name, value in error.get_headers() if name == "Allow"
        )
        return answer

    @app.errorhandler(Overloaded)
    def overloaded(error: Overloaded) -> Response:
        metrics.rejections.labels("overload").inc()
        return refusal(503, str(error), error.retry_after_s)

    app.register_error_handler(InputError, lambda error: refusal(error.status, str(error)))
    app.register_error_handler(
        PhotoError, lambda error: refusal(422, f"the photo cannot be used: {error}")
    )
    app.register_error_handler(EngineDead, lambda error: refusal(503, str(error), 10))
    app.register_error_handler(TooManyPhotos, lambda error: refusal(413, str(error)))
    app.register_error_handler(ClientGone, lambda error: refusal(499, "the client has gone"))

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.exception("a request failed")  # the traceback is for the log; clients get one sentence
        return refusal(500, "the server failed on this request; its log says why")

    return app


def answered(predictor: "Predictor", limits: ServingLimits) -> Response:
    """The answer to the current request's photos."""
    content_type = request.content_type or ""
    media_type = answer_type(request.headers.get("Accept"), media_type_of(content_type))
    top_k = top_k_of(request.headers.get(ATTRIBUTES))
    photos = photos_of(content_type, request.get_data(cache=False), limits.tolerant)
    state = request.environ.get(KEY) or RequestState.lasting(limits.timeout_s)
    return Response(
        render(predictor.predict(photos, top_k, state, limits.tolerant), media_type),
        content_type=media_type,
    )


def refusal(status: int, sentence: str, retry_after_s: int | None = None) -> Response:
    """One sentence in JSON: all that callers of InvokeEndpoint see."""
    answer = jsonify(error=sentence)
    answer.status_code = status
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def too_large(max_payload_mb: float) -> str:
    """Why a body is refused with 413."""
    return f"the body is larger than {max_payload_mb:g} MB; send a smaller photo, one of {', '.join(ACCEPTED)}"
