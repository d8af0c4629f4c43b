"""The Flask app of a multi-model endpoint: /models as SageMaker calls it."""

import json

from flask import Flask, Response, jsonify, request

from serve.app import ServingLimits, answered, base_app, refusal
from serve.metrics import Metrics
from serve.models import ModelError, Models

PAGE = 100  # models a GET /models lists at once


def create_multi_model_app(
    models: Models, limits: ServingLimits = ServingLimits(), metrics: Metrics | None = None
) -> Flask:
    """The WSGI app around models that come and go."""
    app = base_app(limits, metrics or Metrics(), multi_model=True)
    app.register_error_handler(ModelError, lambda error: refusal(error.status, str(error)))

    @app.get("/ping")
    def ping() -> Response:
        faults = models.faults()
        return (
            refusal(503, f"a model does not answer: {faults[0]}")
            if faults
            else Response(status=200)
        )

    @app.post("/models")
    def load() -> Response:
        name, url = wanted(request.get_data(cache=False))
        models.load(name, url)
        return jsonify(modelName=name, modelUrl=url)

    @app.get("/models")
    def listed() -> Response:
        token = request.args.get("next_page_token", "0")
        if not (token.isascii() and token.isdigit() and len(token) < 10):
            raise ModelError(
                400, f"next_page_token is '{token[:20]}'; send the nextPageToken of the page before"
            )
        start, entries = int(token), models.listed()
        page = {"models": entries[start : start + PAGE]}
        if start + PAGE < len(entries):
            page["nextPageToken"] = str(start + PAGE)
        return jsonify(page)

    @app.get("/models/<name>")
    def describe(name: str) -> Response:
        return jsonify(models.describe(name))

    @app.delete("/models/<name>")
    def unload(name: str) -> Response:
        models.unload(name)
        return Response(status=200)

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


def wanted(body: bytes) -> tuple[str, str]:
    """Name and folder from the body of POST /models. ModelError 400 for anything else."""
    expected = 'send {"model_name": "…", "url": "/opt/ml/models/…/model"}'
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ModelError(400, f"the body is not JSON ({str(error)[:100]}); {expected}") from error
    name, url = (
        document.get(key) if isinstance(document, dict) else None for key in ("model_name", "url")
    )
    if not (isinstance(name, str) and isinstance(url, str) and name and url and "\0" not in url):
        raise ModelError(400, f"the JSON lacks model_name or url; {expected}")
    if "/" in name or not name.isprintable():
        raise ModelError(
            400,
            f"the model's name {name[:100]!r} holds a slash or what cannot be printed; {expected}",
        )
    return name, url
