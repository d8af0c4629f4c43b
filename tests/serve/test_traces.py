"""Spans of requests: whose they are, what they hold, and that no collector can slow a server."""

import time

import pytest

from serve.caller import Caller, caller_of
from serve.factory import traces_wanted
from serve.request_state import MOST_SPANS, RequestState
from tests.support.collectors import collector
from tests.support.servers import photo, serving

pytest.importorskip(
    "opentelemetry.sdk", reason="opentelemetry is not installed: spans are not tested"
)
pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def test_without_a_collector_there_are_no_traces(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    assert traces_wanted() is None


@pytest.mark.parametrize(
    "headers, found",
    [
        ({b"traceparent": PARENT.encode()}, Caller(TRACE, SPAN)),
        ({b"traceparent": PARENT.encode()[:-1] + b"0"}, Caller(TRACE, SPAN, sampled=False)),
        (
            {b"x-amzn-trace-id": b"Root=1-5759e988-bd862e3fe1be46a994272793"},
            Caller("5759e988bd862e3fe1be46a994272793"),
        ),
        (
            {
                b"x-amzn-trace-id": b"Root=1-5759e988-bd862e3fe1be46a994272793;"
                b"Parent=53995C3F42CD8AD8;Sampled=0"
            },
            Caller("5759e988bd862e3fe1be46a994272793", "53995c3f42cd8ad8", sampled=False),
        ),
        ({}, None),
    ],
)
def test_the_caller_of_a_request(headers, found):
    assert caller_of(headers) == found


@pytest.fixture
def spans():
    """Traces whose spans stay here, and a function that gives them, the request's last."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from serve.traces import CallersIds, Traces

    kept = InMemorySpanExporter()
    ids = CallersIds()
    provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return Traces(provider, ids), kept.get_finished_spans


def asked() -> RequestState:
    state = RequestState.lasting(60)
    state.spans = []
    state.photos = 1
    for stage in ("read", "decode", "queue", "engine"):
        state.add(stage, 0.001)
    return state


def test_a_request_has_its_stages_below_it(spans):
    traces, finished = spans
    traces.add("POST", "/invocations", 200, 77, asked(), Caller(TRACE, SPAN))
    *stages, request = finished()
    assert [one.name for one in stages] == ["read body", "decode", "queue wait", "engine"]
    assert request.name == "POST /invocations"
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == SPAN
    assert {one.parent.span_id for one in stages} == {request.context.span_id}
    assert all(one.end_time - one.start_time == pytest.approx(1e6, rel=0.01) for one in stages)
    assert all(one.end_time <= request.end_time for one in stages)
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["slipway.photos"] == 1
    assert abs(request.end_time / 1e9 - time.time()) < 60
    assert request.status.is_unset


def test_a_trace_without_a_parent_keeps_its_id(spans):
    traces, finished = spans
    traces.add("POST", "/invocations", 500, 77, asked(), Caller(TRACE))
    traces.add("POST", "/invocations", 200, 77, asked(), None)
    first, second = (one for one in finished() if one.name.startswith("POST"))
    assert f"{first.context.trace_id:032x}" == TRACE
    assert first.parent is None
    assert not first.status.is_ok
    assert second.context.trace_id != first.context.trace_id


def test_what_the_caller_does_not_record_is_not_recorded(spans):
    traces, finished = spans
    traces.add("POST", "/invocations", 200, 77, asked(), Caller(TRACE, SPAN, sampled=False))
    assert finished() == ()


def test_a_request_of_many_photos_has_few_spans():
    state = asked()
    for _ in range(1000):
        state.add("decode", 0.001)
    assert state.spans is not None
    assert len(state.spans) == MOST_SPANS
    assert state.stages["decode"] == pytest.approx(1.001)


@pytest.mark.verify
def test_a_server_sends_its_spans_to_a_collector(colours):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with collector(answers=True) as (url, received, came):
        with serving(
            colours.model, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY=100
        ) as server:
            status, _ = server.invoke(photo("red"), traceparent=PARENT)
            assert status == 200
            assert came.wait(60)
        [resource] = ExportTraceServiceRequest.FromString(received[0]).resource_spans
        names = {one.key: one.value.string_value for one in resource.resource.attributes}
        assert names["service.name"] == "slipway-serve"
        spans = {one.name: one for scope in resource.scope_spans for one in scope.spans}
        assert set(spans) == {"POST /invocations", "read body", "decode", "queue wait", "engine"}
        assert spans["POST /invocations"].trace_id.hex() == TRACE
        assert spans["POST /invocations"].parent_span_id.hex() == SPAN


@pytest.mark.verify
@pytest.mark.parametrize("state", ["hangs", "is down"])
def test_no_collector_slows_or_holds_a_server(colours, state, tmp_path):
    with collector(answers=False) as (hanging, _, came):
        url = hanging if state == "hangs" else "http://127.0.0.1:1"
        # at its end it must leave with 0, within the time of `serving`
        with serving(
            colours.model, OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY=50
        ) as server:
            started = time.monotonic()
            for _ in range(50):
                assert server.invoke(photo("red"))[0] == 200
            if state == "hangs":
                assert came.wait(60)
            for _ in range(50):
                assert server.invoke(photo("red"))[0] == 200
            # one hanging export takes its 10 s of time-out; 100 requests that waited would not end
            assert time.monotonic() - started < 60
