"""Each serving image sends its spans to a collector, from within its container."""

import urllib.request

import pytest

from runtime import docker
from runtime.probes import ping
from tests.support.collectors import collector
from tests.support.mms_containers import container, model, wait_for
from tests.support.servers import photo

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
pytestmark = [pytest.mark.docker, pytest.mark.verify]
START_S = 900  # on a machine that is busy with other tests
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def traces(bodies: list[bytes]) -> dict[str, str]:
    """The trace of each span, by the span's name."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found: dict[str, str] = {}
    for body in bodies:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                found |= {one.name: one.trace_id.hex() for one in scope.spans}
    return found


@pytest.mark.parametrize("kind", ["serve", "serve-gpu", "serve-mms", "serve-mms-torch"])
def test_spans_reach_a_collector_outside_the_container(images, colours, kind):
    bridge = "{{(index .IPAM.Config 0).Gateway}}"
    gateway = docker.output("network", "inspect", "--format", bridge, "bridge").strip()
    with collector(answers=True, host=gateway) as (url, received, _):
        options = [f"--env=OTEL_EXPORTER_OTLP_ENDPOINT={url}", "--env=OTEL_BSP_SCHEDULE_DELAY=100"]
        with container(*options, *model(colours.model), image=images[kind]) as (_, at):
            wait_for(lambda: ping(at) == 200, START_S)
            headers = {"Content-Type": "image/jpeg", "traceparent": f"00-{TRACE}-{'1' * 16}-01"}
            request = urllib.request.Request(f"{at}/invocations", photo("red"), headers)
            with urllib.request.urlopen(request, timeout=START_S) as answer:
                assert answer.status == 200
            # spans of a /ping that was answered 503 may come first
            wait_for(lambda: "POST /invocations" in traces([*received]), START_S)
    found = traces(received)
    assert found["POST /invocations"] == TRACE
    assert found["read body"] == TRACE
