"""What is kept of each request: its numbers for /metrics, and one line of JSON in the log.

The line names the trace that a request belongs to.
"""

import json
import sys
import time
from typing import TYPE_CHECKING

from serve.caller import caller_of, trace_id_of
from serve.metrics import Metrics
from serve.request_state import RequestState
from serve.wsgi import Answer, Scope

if TYPE_CHECKING:
    from serve.traces import Traces

INVOKE_ROUTE = "/models/{name}/invoke"
# Those that run the model
WORK_ROUTES = (
    *("/invocations", INVOKE_ROUTE),
    *("/classify", "/answer", "/saliency", "/getyogaapp"),  # of the page
)
ROUTES = (
    "/invocations",
    "/classify",
    "/answer",
    "/saliency",
    "/getyogaapp",
    "/ping",
    "/metrics",
    "/openapi.json",
    "/execution-parameters",
    "/models",
)
REASON_LENGTH = 200  # characters; the parser quotes what it found
METHOD_LENGTH = 20
PATH_LENGTH = 200  # characters of a path in the log
INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
INFERENCE_ID_LENGTH = 64  # SageMaker's own maximum


def record(
    metrics: Metrics,
    scope: Scope,
    answer: Answer,
    received: int,
    state: RequestState,
    traces: "Traces | None" = None,
) -> None:
    """Count, log and trace a request. received: bytes of its body. A good /ping is only counted."""
    seconds = time.monotonic() - state.started
    route = route_of(scope["path"])
    metrics.requests.labels(route, str(answer.status)).inc()
    if route not in WORK_ROUTES and answer.status == 200:
        return
    stages = dict(state.stages)
    _observe(metrics, {**stages, "total": seconds})
    if answer.status == 200:
        metrics.photos.inc(state.photos)
    headers = dict(scope["headers"])
    method = scope["method"][:METHOD_LENGTH]
    if traces:
        traces.add(method, route, answer.status, received, state, caller_of(headers))
    inference_id = headers.get(INFERENCE_ID, b"").decode("latin-1")
    entry = {
        "time": _now(),
        "method": method,
        "path": scope["path"][:PATH_LENGTH],
        "status": answer.status,
        "inference_id": inference_id[:INFERENCE_ID_LENGTH] or None,
        "bytes": received,
        "photos": state.photos,
        **{f"{stage}_ms": round(spent * 1000, 2) for stage, spent in stages.items()},
        "total_ms": round(seconds * 1000, 2),
    }
    if trace_id := trace_id_of(headers):
        entry["trace_id"] = trace_id
    if answer.status >= 400:
        entry["error"] = _error_in(answer.body)
    _write(entry)


def _observe(metrics: Metrics, stages: dict[str, float]) -> None:
    for stage, spent in stages.items():
        metrics.stages.labels(stage).observe(spent)


def record_no_http(reason: str) -> None:
    """Log what could not be read as a request. reason: what the parser says."""
    _write({"time": _now(), "status": 400, "error": f"not HTTP/1.1: {reason[:REASON_LENGTH]}"})


def _write(entry: dict[str, object]) -> None:
    # one write: lines of several worker processes must not mix
    sys.stdout.write(json.dumps(entry) + "\n")
    sys.stdout.flush()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def route_of(path: str) -> str:
    """A path's name among the metrics, where names must stay few: "other" for an unknown one."""
    if path.endswith("/invoke"):
        return INVOKE_ROUTE
    return path if path in ROUTES else "other"


def _error_in(body: bytes) -> str:
    """The sentence in an answer's JSON; empty for an answer of another kind."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return ""
