"""The Flask app of a multi-model endpoint: /models as SageMaker calls it."""

from flask import Flask, Response, jsonify, request

from artifact.json_text import read_json
from serve.app import DEFAULT_LIMITS, ServingLimits, answered, base_app, refusal
from serve.metrics import Metrics
from serve.models import ModelError, Models

PAGE = 100  # models in one answer to GET /models
TOKEN_DIGITS = 9


def create_multi_model_app(
    models: Models, limits: ServingLimits = DEFAULT_LIMITS, metrics: Metrics | None = None
) -> Flask:
    """The WSGI app around models that come and go."""
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

    _offer_models(app, models)

    @app.post("/models/<name>/invoke")
    def invoke(name: str) -> Response:
        with models.using(name) as predictor:
            return answered(predictor, limits)

    @app.post("/invocations")
    def invocations() -> Response:
        raise ModelError(
            404, "this endpoint has several models; send the photo to POST /models/<name>/invoke"
        )

    return app


def _offer_models(app: Flask, models: Models) -> None:
    """The routes by which SageMaker loads, lists and unloads models."""

    @app.post("/models")
    def load() -> Response:
        name, url = name_and_url(request.get_data(cache=False))
        models.load(name, url)
        return jsonify(modelName=name, modelUrl=url)

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


def name_and_url(body: bytes) -> tuple[str, str]:
    """Name and folder from the body of POST /models. Raises ModelError 400 for anything else."""
    expected = 'send {"model_name": "…", "url": "/opt/ml/models/…/model"}'
    try:
        document = read_json(body)
    except ValueError as error:
        raise ModelError(400, f"the body is not JSON ({str(error)[:100]}); {expected}") from error
    fields = document if isinstance(document, dict) else {}
    name = fields.get("model_name")
    url = fields.get("url")
    if not isinstance(name, str) or not isinstance(url, str) or not name or not url:
        raise ModelError(400, f"the JSON lacks model_name or url; {expected}")
    if "\0" in url:  # no path on Linux holds one
        raise ModelError(400, f"the JSON lacks model_name or url; {expected}")
    if "/" in name or not name.isprintable():
        raise ModelError(
            400,
            f"the model's name {name[:100]!r} holds a slash or what cannot be printed; {expected}",
        )
    return name, url
