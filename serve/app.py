"""The Flask app behind SageMaker's contract: GET /ping and POST /invocations.

It is given a ready predictor: that this app exists means that the model is loaded and warm.
"""

import logging
from typing import TYPE_CHECKING, BinaryIO

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from artifact.preprocessing import PhotoError
from serve.inputs import ACCEPTED, InputError, photos_of

if TYPE_CHECKING:
    from serve.predictor import Predictor

TOP_K = 5
CHUNK_LENGTH = 65536  # bytes
DISCARDED_CHUNKS = 1600  # 100 MiB in all

log = logging.getLogger(__name__)


def create_app(predictor: "Predictor", max_payload_mb: float = 6.0) -> Flask:
    """The WSGI app around a predictor. Bodies above max_payload_mb (MiB) are refused with 413."""
    app = Flask("serve")
    app.config["MAX_CONTENT_LENGTH"] = int(max_payload_mb * 1024 * 1024)

    @app.get("/ping")
    def ping() -> Response:
        return Response(status=200)

    @app.post("/invocations")
    def invocations() -> Response:
        photos = photos_of(request.content_type or "", request.get_data(cache=False))
        return jsonify(predictions=predictor.predict(photos, TOP_K))

    @app.errorhandler(InputError)
    def refused(error: InputError) -> tuple[Response, int]:
        return jsonify(error=str(error)), error.status

    @app.errorhandler(PhotoError)
    def undecodable(error: PhotoError) -> tuple[Response, int]:
        return jsonify(error=f"the photo cannot be used: {error}"), 422

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        if error.code == 413:
            discard_body(request.environ["wsgi.input"])
        sentences = {
            404: f"there is nothing at {request.path}; use GET /ping or POST /invocations",
            405: f"{request.method} is not served at {request.path}; use GET /ping or POST /invocations",
            413: f"the body is larger than {max_payload_mb:g} MB; send a smaller photo, one of {', '.join(ACCEPTED)}",
        }
        return jsonify(error=sentences.get(error.code, error.description or error.name)), error.code

    @app.errorhandler(Exception)
    def failed(error: Exception) -> tuple[Response, int]:
        log.exception("a request failed")  # the traceback is for the log; clients get one sentence
        return jsonify(error="the server failed on this request; its log says why"), 500

    return app


def discard_body(stream: BinaryIO) -> None:
    """Read what a client still sends, within bounds: closing on unsent data would cost it the answer."""
    for _ in range(DISCARDED_CHUNKS):
        if not stream.read(CHUNK_LENGTH):
            return
