"""The checks of all CPU serving images while they are built: their HTTP server works."""

import base64

import h11  # noqa: F401  for its bytecode
import prometheus_client
import uvicorn
import uvicorn.lifespan.off  # noqa: F401  uvicorn imports its parts by name
import uvicorn.loops.asyncio  # noqa: F401  for its bytecode
import uvicorn.protocols.http.h11_impl  # noqa: F401  for its bytecode


def check_flask() -> None:
    """Raise SystemExit unless a Flask app takes JSON and answers in JSON."""
    import flask

    app = flask.Flask("warm")

    @app.post("/invocations")
    def size() -> flask.Response:
        data = base64.b64decode(flask.request.get_json()["b64"])
        return flask.jsonify(size=len(data))

    text = base64.b64encode(b"four").decode()
    response = app.test_client().post("/invocations", json={"b64": text})
    if response.get_json() != {"size": 4}:
        raise SystemExit(f"warm_http: Flask answered {response.data!r}")


def check_traces() -> None:
    """Raise unless spans can be made and written as OTLP."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

    span = TracerProvider(shutdown_on_exit=False).get_tracer("warm").start_span("warm")
    span.end()
    if not isinstance(span, ReadableSpan) or not encode_spans([span]).SerializeToString():
        raise SystemExit("warm_http: no span could be written")
    OTLPSpanExporter(endpoint="http://127.0.0.1:4318")


def numbers() -> str:
    """What the server's libraries are, and how long their numbers."""
    length = len(prometheus_client.generate_latest())
    return f"uvicorn {uvicorn.__version__}, {length} bytes of numbers"
