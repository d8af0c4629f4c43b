"""What is kept of each request: its numbers for /metrics, and one line of JSON in the log.

The line names the trace that a request belongs to, by the header that its caller sends.
Sources: W3C Trace Context, "traceparent"; AWS X-Ray developer guide, "Tracing header", whose trace
ids and W3C's can be turned into each other.
"""

import json
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
TRACEPARENT = b"traceparent"
AMAZON = b"x-amzn-trace-id"
# Version 00 ends after the flags; later ones may add to it, and ff is none.
_W3C = re.compile(
    rb"(?!ff|00.{53}-)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_ROOT = re.compile(rb"Root=1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_PARENT = re.compile(rb"(?:^|;)\s*Parent=([0-9a-fA-F]{16})(?:;|$)")
_UNSAMPLED = re.compile(rb"(?:^|;)\s*Sampled=0(?:;|$)")
_NONE = "0" * 32  # W3C: it stands for no trace


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


@dataclass(frozen=True)
class Caller:
    """The trace that a request belongs to: 32 hexadecimal digits, and the caller's span in it: 16.

    span_id is empty where the header names none. sampled: whether the caller records the trace.
    """

    trace_id: str
    span_id: str = ""
    sampled: bool = True


def caller_of(headers: Mapping[bytes, bytes]) -> Caller | None:
    """The caller's trace; None without one. headers: by name in lower case.

    traceparent wins over X-Amzn-Trace-Id.
    """
    found = _W3C.fullmatch(headers.get(TRACEPARENT, b"").strip())
    if found and found[1].decode() != _NONE:
        return Caller(found[1].decode(), _span_id(found[2]), bool(int(found[3], 16) & 1))
    amazon = headers.get(AMAZON, b"")
    root = _ROOT.search(amazon)
    if not root:
        return None
    trace_id = (root[1] + root[2]).decode().lower()
    if trace_id == _NONE:
        return None
    parent = _PARENT.search(amazon)
    span_id = _span_id(parent[1]) if parent else ""
    return Caller(trace_id, span_id, not _UNSAMPLED.search(amazon))


def _span_id(written: bytes) -> str:
    """A span's id in small letters; "" for zeros, which stand for none."""
    span_id = written.decode().lower()
    return "" if span_id == _NONE[:16] else span_id


def trace_id_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The trace's id alone, for the log."""
    caller = caller_of(headers)
    return caller.trace_id if caller else None
