"""The Flask app of SageMaker's contract: /ping, /invocations, and the routes beside them.

It gets a predictor that is ready, so an app that exists can answer.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from artifact.photos.kinds import PhotoError
from serve.answering import DEFAULT_LIMITS, ServingLimits, answered
from serve.batching import EngineDead
from serve.hooks import HookError
from serve.inputs import ACCEPTED, InputError
from serve.metrics import Metrics
from serve.openapi import document
from serve.prediction import AnyPredictor
from serve.request_state import ClientGone, Overloaded, TooManyPhotos

METHODS = ("get", "post", "delete")
BATCH_PAYLOADS_MB = 100  # SageMaker's maximum of concurrent transforms x payload
MIB = 1024 * 1024

# Any: the model, of the kind that it knows
Answerer = Callable[[Any, ServingLimits], Response]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """The page for people. samples: a folder with a folder of photos per label.

    sure_from: the lowest probability that the page calls sure.
    """

    samples: Path | None = None
    sure_from: float = 0.5


def create_app(
    predictor: AnyPredictor,
    limits: ServingLimits = DEFAULT_LIMITS,
    metrics: Metrics | None = None,
    page: Page | None = None,
    answer: Answerer = answered,
) -> Flask:
    """The WSGI app around one model, with the page if one is given.

    answer: what a request gets.
    """
    app = base_app(limits, metrics or Metrics(), multi_model=False, page=page is not None)
    if page:
        from serve.page import add_page

        add_page(app, predictor, page.samples, page.sure_from)

    @app.get("/ping")
    def ping() -> Response:
        fault = predictor.batcher.fault()
        if fault:
            return refusal(503, f"the model does not answer: {fault}")
        return Response(status=200)

    @app.post("/invocations")
    def invocations() -> Response:
        return answer(predictor, limits)

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
    """The common part of single- and multi-model servers: /metrics, /openapi.json, and errors."""
    app = Flask("serve")
    app.config["MAX_CONTENT_LENGTH"] = int(limits.max_payload_mb * MIB)
    app.url_map.merge_slashes = False  # else an answer leads to an address of the client's choice
    offered = document(multi_model, limits.max_payload_mb, page)

    @app.get("/metrics")
    def numbers() -> Response:
        body, content_type = metrics.text()
        return Response(body, content_type=content_type)

    @app.get("/openapi.json")
    def description() -> Response:
        return jsonify(offered)

    _handle_http_errors(app, _routes_in(offered), limits)
    _handle_refusals(app, metrics)
    return app


def _routes_in(offered: dict[str, Any]) -> str:
    """Every method and path of an OpenAPI document, for sentences."""
    routes = []
    for path, methods in offered["paths"].items():
        routes += [f"{method.upper()} {path}" for method in methods if method in METHODS]
    return ", ".join(routes)


def _handle_http_errors(app: Flask, known: str, limits: ServingLimits) -> None:
    """Flask's own errors as one sentence in JSON. known: the routes, for 404 and 405."""

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        path = request.path[:100]
        sentences = {
            404: f"there is nothing at {path}; there is {known}",
            405: f"{request.method[:20]} is not served at {path}; there is {known}",
            413: too_large(limits.max_payload_mb),
        }
        status = error.code or 500
        answer = refusal(status, sentences.get(status, error.description or error.name))
        for name, value in error.get_headers():
            if name == "Allow":  # of 405
                answer.headers.add(name, value)
        return answer


def _handle_refusals(app: Flask, metrics: Metrics) -> None:
    """The errors of reading a request and of predicting, each as its status and one sentence."""

    @app.errorhandler(Overloaded)
    def overloaded(error: Overloaded) -> Response:
        metrics.rejections.labels("overload").inc()
        return refusal(503, str(error), error.retry_after_s)

    @app.errorhandler(InputError)
    def bad_input(error: InputError) -> Response:
        return refusal(error.status, str(error))

    @app.errorhandler(PhotoError)
    def bad_photo(error: PhotoError) -> Response:
        return refusal(422, f"the photo cannot be used: {error}")

    @app.errorhandler(HookError)
    def hook_failed(error: HookError) -> Response:
        log.error("%s", error)
        return refusal(500, str(error))

    @app.errorhandler(EngineDead)
    def engine_dead(error: EngineDead) -> Response:
        return refusal(503, str(error), 10)

    @app.errorhandler(TooManyPhotos)
    def too_many_photos(error: TooManyPhotos) -> Response:
        return refusal(413, str(error))

    @app.errorhandler(ClientGone)
    def client_gone(error: ClientGone) -> Response:
        return refusal(499, "the client has gone")

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.exception("a request failed")  # the traceback is for the log; clients get one sentence
        return refusal(500, "the server failed on this request; its log says why")


def refusal(status: int, sentence: str, retry_after_s: int | None = None) -> Response:
    """One sentence in JSON: callers of InvokeEndpoint see nothing else."""
    answer = jsonify(error=sentence)
    answer.status_code = status
    if retry_after_s is not None:
        answer.headers["Retry-After"] = str(retry_after_s)
    return answer


def too_large(max_payload_mb: float) -> str:
    """The sentence of a 413: a body above the limit, in MiB."""
    return (
        f"the body is larger than {max_payload_mb:g} MB; "
        f"send a smaller photo, one of {', '.join(ACCEPTED)}"
    )
