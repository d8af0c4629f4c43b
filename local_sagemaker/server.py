"""The HTTP side: SageMaker's JSON 1.1 protocol at POST /, with some of three services around it.

The runtime's REST is below /endpoints, this server's own routes below /local. Each request must be
signed with a key of this server's (access.py).
"""

import json
import logging
import uuid

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from artifact.text.json_text import read_json
from local_sagemaker import answer_fields, contract, search, tags
from local_sagemaker.access import access
from local_sagemaker.access.access import Access
from local_sagemaker.aws import quotas, tagged
from local_sagemaker.contract import ApiError
from local_sagemaker.hosting import async_invocations, autoscaling, endpoints, invocations
from local_sagemaker.jobs import processing, training, transforms
from local_sagemaker.pipelines import pipeline_executions, pipelines
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import model_packages, models
from local_sagemaker.tuning import tunings

log = logging.getLogger(__name__)
TARGET = "SageMaker."
MOST_BYTES = 32 * 2**20  # of a body: more than any operation takes
UNKNOWN_OPERATION = "UnknownOperationException"  # the code that AWS's JSON protocol has for it
OPERATIONS = (
    training.OPERATIONS
    | models.OPERATIONS
    | model_packages.OPERATIONS
    | endpoints.OPERATIONS
    | transforms.OPERATIONS
    | processing.OPERATIONS
    | tunings.OPERATIONS
    | tags.OPERATIONS
    | pipelines.OPERATIONS
    | pipeline_executions.OPERATIONS
    | {"Search": search.search}
)


def create_app(platform: Platform, keys: Access) -> Flask:
    """The WSGI app around one platform, for those who have one of the keys."""
    app = Flask("local-sagemaker")
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.before_request(keys.check)

    @app.post("/")
    def call() -> Response:
        target = request.headers.get("X-Amz-Target", "")
        if target == quotas.TARGET:
            return _json(quotas.listed(_body()))
        if target == tagged.TARGET:
            return _json(tagged.found(platform, _body(), g.region))
        if target.startswith(autoscaling.TARGET):
            name = target.removeprefix(autoscaling.TARGET)
            access.check_operation(name)
            return _json(autoscaling.answer(platform, name, _body(), g.region))
        if target.startswith(TARGET):
            return _json(_answer(platform, target.removeprefix(TARGET), _body()))
        raise ApiError(
            UNKNOWN_OPERATION,
            f"the header X-Amz-Target must be {TARGET}<operation>; found '{target[:100]}'",
        )

    _add_runtime_routes(app, platform)
    _add_own_routes(app, platform, keys)
    _add_error_handlers(app)
    return app


def _add_runtime_routes(app: Flask, platform: Platform) -> None:
    """sagemaker-runtime's operations."""

    @app.post("/endpoints/<name>/invocations")
    def invoke(name: str) -> Response:
        answer = invocations.invoke(platform, name, request.get_data(cache=False), _headers())
        return Response(answer.body, 200, answer.headers)

    @app.post("/endpoints/<name>/async-invocations")
    def invoke_async(name: str) -> Response:
        access.check_operation("InvokeEndpointAsync")
        body, headers = async_invocations.accept(
            platform, name, request.get_data(cache=False), _headers()
        )
        return _json(body, 202, headers)

    @app.post("/endpoints/<name>/invocations-response-stream")
    def invoke_with_stream(name: str) -> Response:
        raise ApiError(
            contract.RUNTIME_VALIDATION,
            "local SageMaker does not do InvokeEndpointWithResponseStream; call InvokeEndpoint: "
            "its answer comes in one piece",
        )


def _add_own_routes(app: Flask, platform: Platform, keys: Access) -> None:
    """What AWS does not have, below /local."""

    @app.post("/local/training-jobs/<name>/interrupt")
    def interrupt(name: str) -> Response:
        access.check_operation("InterruptTrainingJob")
        return _json(training.interrupt(platform, name))

    @app.post("/local/tuning-jobs/<name>/trials")
    def trial(name: str) -> Response:
        access.check_operation("CreateTrial")
        # It lasts as long as the training.
        return Response(tunings.start_trial(platform, name, _body()), mimetype="application/json")

    @app.post("/local/console-links")
    def console_link() -> Response:
        access.check_operation("CreateConsoleLink")
        return _json({"path": keys.console.new_link()})

    @app.get("/local/ready")
    def ready() -> Response:
        return _json({"engine": platform.container_engine.name})


def _body() -> Record:
    """The request's JSON. ApiError when it is not JSON."""
    try:
        # An operation without parameters may be called without a body.
        body: Record = read_json(request.get_data() or b"{}")
    except ValueError as error:
        message = f"the request's body is not JSON: {error}"
        raise ApiError(contract.SERIALIZATION, message) from error
    if not isinstance(body, dict):
        raise ApiError(contract.SERIALIZATION, "the request's body must be a JSON object")
    return body


def _answer(platform: Platform, name: str, body: Record) -> Record:
    """What one operation of SageMaker answers. ApiError as SageMaker's own."""
    access.check_operation(name)
    asked = contract.check(name, body)
    if name not in OPERATIONS:
        raise ApiError(
            UNKNOWN_OPERATION,
            f"local SageMaker does not do {name}; it does {', '.join(sorted(OPERATIONS))}",
        )
    # Operations such as Stop... and Delete... have no result: SageMaker answers {}.
    result = OPERATIONS[name](platform, asked, g.region) or {}
    return contract.answer(name, answer_fields.complete(name, result))


def _add_error_handlers(app: Flask) -> None:
    """Every error is answered in SageMaker's JSON."""

    @app.errorhandler(ApiError)
    def refused(error: ApiError) -> Response:
        body: Record = {"message": error.message, **error.fields}
        if not error.code:  # as for 413: clients then take the status for the code
            return _json(body, error.status)
        body["__type"] = error.code
        return _json(body, error.status, {"x-amzn-ErrorType": error.code})

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        message = f"{request.method} {request.path[:100]}: {error.description}"
        return _json({"__type": UNKNOWN_OPERATION, "message": message}, error.code or 500)

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        log.exception("a request failed")
        cause = f"{type(error).__name__}: {error}"
        message = f"the local server failed on this request: {cause}"
        return _json({"__type": "InternalFailure", "message": message}, 500)


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _json(content: Record, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    answer = Response(json.dumps(content), status, content_type="application/x-amz-json-1.1")
    answer.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    answer.headers.extend(headers or {})
    return answer
