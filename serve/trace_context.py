"""Which trace a request belongs to, by the header that its caller sends.

Sources: W3C Trace Context, "traceparent"; AWS X-Ray developer guide, "Tracing header", whose trace
ids and W3C's can be turned into each other.
"""

import re
from collections.abc import Mapping

TRACEPARENT = b"traceparent"
AMAZON = b"x-amzn-trace-id"
_W3C = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_ROOT = re.compile(rb"Root=1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_NONE = "0" * 32  # W3C: it stands for no trace


def trace_id_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The trace's id, 32 hexadecimal digits; None without one. headers: by name in lower case.

    traceparent wins over X-Amzn-Trace-Id.
    """
    found = _W3C.fullmatch(headers.get(TRACEPARENT, b"").strip())
    if found and found[1].decode() != _NONE:
        return found[1].decode()
    root = _ROOT.search(headers.get(AMAZON, b""))
    if root:
        return (root[1] + root[2]).decode().lower()
    return None
