"""The HTTP side: SageMaker's JSON 1.1 protocol at POST /, and Service Quotas' one operation.

The runtime's REST is below /endpoints, this server's own routes below /local.

Signatures are not checked: whoever reaches the port may do everything.
"""

import json
import logging
import re
import uuid

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from local_sagemaker import (
    contract,
    endpoints,
    invocations,
    models,
    quotas,
    tags,
    training,
    transforms,
    tunings,
)
from local_sagemaker.contract import ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
TARGET = "SageMaker."
OPERATIONS = (
    training.OPERATIONS
    | models.OPERATIONS
    | endpoints.OPERATIONS
    | transforms.OPERATIONS
    | tunings.OPERATIONS
    | tags.OPERATIONS
)


def create_app(platform: Platform) -> Flask:
    """The WSGI app around one platform."""
    app = Flask("local-sagemaker")

    @app.post("/")
    def call() -> Response:
        target = request.headers.get("X-Amz-Target", "")
        if not target.startswith(TARGET) and target != quotas.TARGET:
            raise ApiError(
                "UnknownOperationException",
                f"the header X-Amz-Target must be {TARGET}<operation>; found '{target[:100]}'",
            )
        name = target.removeprefix(TARGET)
        try:
            body = json.loads(request.get_data() or b"{}")
        except ValueError as error:
            raise ApiError(
                contract.SERIALIZATION, f"the request's body is not JSON: {error}"
            ) from error
        if target == quotas.TARGET:
            return _json(quotas.listed(body))
        asked = contract.check(name, body)
        if name not in OPERATIONS:
            raise ApiError(
                "UnknownOperationException",
                f"local SageMaker does not do {name}; it does {', '.join(sorted(OPERATIONS))}",
            )
        return _json(contract.answer(name, OPERATIONS[name](platform, asked, region()) or {}))

    @app.post("/endpoints/<name>/invocations")
    def invoke(name: str) -> Response:
        answer = invocations.invoke(platform, name, request.get_data(cache=False), _headers())
        return Response(answer.body, 200, answer.headers)

    @app.post("/endpoints/<name>/async-invocations")
    def invoke_async(name: str) -> Response:
        body, headers = invocations.invoke_async(
            platform, name, request.get_data(cache=False), _headers()
        )
        return _json(body, 202, headers)

    @app.post("/local/training-jobs/<name>/interrupt")
    def interrupt(name: str) -> Response:
        return _json(training.interrupt(platform, name))

    _add_error_handlers(app)
    return app


def _add_error_handlers(app: Flask) -> None:
    """Every error is answered in SageMaker's JSON."""

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> Response:
        return _json(
            {"__type": error.code, "message": error.message, **error.fields},
            error.status,
            {"x-amzn-ErrorType": error.code} if error.code else None,
        )

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _json(
            {
                "__type": "UnknownOperationException",
                "message": f"{request.method} {request.path[:100]}: {error.description}",
            },
            error.code or 500,
        )

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.exception("a request failed")
        return _json(
            {
                "__type": "InternalFailure",
                "message": "the local server failed on this request: "
                f"{type(error).__name__}: {error}",
            },
            500,
        )


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def region() -> str:
    """The region that the request was signed for."""
    found = re.search(
        r"Credential=[^/]+/\d+/([a-z0-9-]+)/", request.headers.get("Authorization", "")
    )
    return found[1] if found else "us-east-1"


def _json(content: Record, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    answer = Response(json.dumps(content), status, content_type="application/x-amz-json-1.1")
    answer.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    answer.headers.extend(headers or {})
    return answer
