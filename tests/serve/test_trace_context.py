"""The trace of a request, by W3C's header and by AWS's."""

import pytest

from serve.caller import caller_of, trace_id_of

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{ID}-00f067aa0ba902b7-01".encode()
ROOT = b"Self=1-67891234-12456789abcdef012345678;Root=1-5759E988-bd862e3fe1be46a994272793;Sampled=1"


@pytest.mark.parametrize(
    "headers, found",
    [
        ({b"traceparent": PARENT}, ID),
        ({b"traceparent": b"01" + PARENT[2:] + b"-what-a-later-version-adds"}, ID),
        ({b"traceparent": PARENT + b"-00"}, None),
        ({b"x-amzn-trace-id": ROOT}, "5759e988bd862e3fe1be46a994272793"),
        ({b"traceparent": PARENT, b"x-amzn-trace-id": ROOT}, ID),
        ({b"traceparent": b"ff" + PARENT[2:]}, None),
        ({b"traceparent": PARENT.upper()}, None),
        ({b"traceparent": b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01"}, None),
        ({b"x-amzn-trace-id": b"Root=1-5759e988-short"}, None),
        ({b"x-amzn-trace-id": b"Root=1-" + b"0" * 8 + b"-" + b"0" * 24}, None),
        ({}, None),
    ],
)
def test_the_trace_of_a_request(headers, found):
    assert trace_id_of(headers) == found


@pytest.mark.parametrize(
    "parent, span_id", [("53995C3F42CD8AD8", "53995c3f42cd8ad8"), ("0" * 16, "")]
)
def test_the_callers_span_by_amazons_header(parent, span_id):
    found = caller_of({b"x-amzn-trace-id": ROOT + f";Parent={parent}".encode()})
    assert found is not None
    assert found.span_id == span_id
