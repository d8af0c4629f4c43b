"""Traces by OTLP over HTTP: a span of each request, with its stages below it.

OpenTelemetry's own variables say where they go and how many (OTEL_EXPORTER_OTLP_*, OTEL_BSP_*,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME). A thread of its own sends them. Where a collector is slow
or down, spans are dropped; no request waits. Only a server that is to trace imports this module.
"""

import contextlib
import logging
import os
import threading
import time

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from serve.caller import Caller
from serve.request_state import RequestState

NAMES = {"read": "read body", "queue": "queue wait"}  # of stages whose word alone says little
FLUSH_S = 0.2  # between two sendings at the end
QUIET_S = 60.0  # between two lines on a collector that does not answer


def open_traces() -> "Traces":
    """Traces to the environment's collector. It is not asked here: it may come later."""
    name = os.environ.get("OTEL_SERVICE_NAME") or "slipway-serve"
    ids = CallersIds()
    # OTEL_RESOURCE_ATTRIBUTES is read by `create`; at the end nothing waits for a slow collector
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: name}), id_generator=ids, shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    quiet = Seldom()
    for handler in logging.getLogger().handlers:
        handler.addFilter(quiet)
    return Traces(provider, ids)


class CallersIds(RandomIdGenerator):
    """Random ids, but for a trace whose id the caller has given without a span of its own."""

    given: str = ""  # set and used by the event loop's thread alone

    def generate_trace_id(self) -> int:
        return int(self.given, 16) if self.given else super().generate_trace_id()


class Seldom(logging.Filter):
    """Lets a line of OpenTelemetry through at most each QUIET_S, and all others always.

    A collector that is down must not fill the log.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("opentelemetry"):
            return True
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + QUIET_S
        # a traceback of the connection says no more than its error
        record.exc_info = None
        return True


class Traces:
    """Turns requests that are answered into spans."""

    def __init__(self, provider: TracerProvider, ids: CallersIds):
        self._provider = provider
        self._ids = ids
        self._tracer = provider.get_tracer("slipway.serve")
        self._leaving = False

    def add(
        self,
        method: str,
        route: str,
        status: int,
        received: int,
        state: RequestState,
        caller: Caller | None,
    ) -> None:
        """The span of one request, which ends now. received: bytes of its body."""
        now = time.monotonic()
        offset = time.time() - now  # from monotonic times to those of the spans
        self._ids.given = caller.trace_id if caller and not caller.span_id else ""
        request = self._tracer.start_span(
            f"{method} {route}",
            _context(caller),
            trace.SpanKind.SERVER,
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "http.request.body.size": received,
                "slipway.photos": state.photos,
            },
            start_time=_nanoseconds(state.started + offset),
        )
        if status >= 500:
            request.set_status(trace.StatusCode.ERROR)
        if request.is_recording():
            within = trace.set_span_in_context(request)
            for stage, start, end in state.spans or ():
                part = self._tracer.start_span(
                    NAMES.get(stage, stage), within, start_time=_nanoseconds(start + offset)
                )
                part.end(_nanoseconds(end + offset))
        request.end(_nanoseconds(now + offset))

    def stop(self) -> None:
        """From now on send what there is at once: the process ends soon, and waits for nobody."""
        if not self._leaving:
            self._leaving = True
            threading.Thread(target=self._send_at_once, name="last traces", daemon=True).start()

    def _send_at_once(self) -> None:
        while True:
            # whatever the exporter raises, the server ends as it would without it
            with contextlib.suppress(Exception):
                self._provider.force_flush(1000)
            time.sleep(FLUSH_S)


def _context(caller: Caller | None) -> Context | None:
    """The context of the caller's span; None without one."""
    if caller is None or not caller.span_id:
        return Context()  # not the thread's own, which could be anything
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if caller.sampled else 0)
    span = trace.SpanContext(int(caller.trace_id, 16), int(caller.span_id, 16), True, flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(span), Context())


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
