"""The Flask app of a multi-model endpoint: /models as SageMaker calls it."""

from pathlib import Path

from flask import Flask, Response, abort, jsonify, request

from serve.answering import DEFAULT_LIMITS, ServingLimits, answered
from serve.app import Answerer, base_app, refusal
from serve.inputs import InputError
from serve.load_request import EXPECTED, load_request_of
from serve.metrics import Metrics
from serve.models import ModelError, Models
from serve.settings import MODELS_FOLDER

PAGE = 100  # models in one answer to GET /models
TOKEN_DIGITS = 9


def create_multi_model_app(
    models: Models,
    limits: ServingLimits = DEFAULT_LIMITS,
    metrics: Metrics | None = None,
    models_folder: Path = MODELS_FOLDER,
    answer: Answerer = answered,
) -> Flask:
    """The WSGI app around models that come and go, from below a folder.

    answer: what a model's request gets.
    """
    app = base_app(limits, metrics or Metrics(), multi_model=True)

    @app.errorhandler(ModelError)
    def model_error(error: ModelError) -> Response:
        return refusal(error.status, str(error))

    @app.get("/ping")
    def ping() -> Response:
        faults = models.faults()
        if faults:
            return refusal(503, f"a model does not answer: {faults[0]}")
        return Response(status=200)

    _offer_models(app, models, models_folder)

    @app.post("/models/<name>/invoke")
    def invoke(name: str) -> Response:
        with models.using(name) as predictor:
            return answer(predictor, limits)

    @app.post("/invocations")
    def invocations() -> Response:
        raise ModelError(
            404, "this endpoint has several models; send the photo to POST /models/<name>/invoke"
        )

    return app


def _offer_models(app: Flask, models: Models, models_folder: Path) -> None:
    """The routes by which SageMaker loads, lists and unloads models."""

    @app.before_request
    def refuse_scaling() -> None:
        # multi-model-server has PUT /models/…, SageMaker's contract has not
        if request.method == "PUT" and request.path.startswith("/models/"):
            abort(404)

    @app.post("/models")
    def load() -> Response:
        content_type = request.content_type or ""
        if request.query_string:
            raise InputError(400, f"POST /models takes no query string; {EXPECTED}")
        asked = load_request_of(content_type, request.get_data(cache=False), models_folder)
        models.load(asked.name, asked.url)
        return jsonify(modelName=asked.name, modelUrl=asked.url)

    @app.get("/models")
    def listed() -> Response:
        start = _start_of(request.args.get("next_page_token", "0"))
        entries = models.listed()
        end = start + PAGE
        page: dict[str, object] = {"models": entries[start:end]}
        if end < len(entries):
            page["nextPageToken"] = str(end)
        return jsonify(page)

    @app.get("/models/<name>")
    def describe(name: str) -> Response:
        return jsonify(models.describe(name))

    @app.delete("/models/<name>")
    def unload(name: str) -> Response:
        models.unload(name)
        return Response(status=200)


def _start_of(token: str) -> int:
    """The number of a page's first model. Raises ModelError 400."""
    if not token.isascii() or not token.isdigit() or len(token) > TOKEN_DIGITS:
        raise ModelError(
            400, f"next_page_token is '{token[:20]}'; send the nextPageToken of the page before"
        )
    return int(token)
