"""The trace that a request belongs to, by the header that its caller sends.

Sources: W3C Trace Context, "traceparent"; AWS X-Ray developer guide, "Tracing header", whose trace
ids and W3C's can be turned into each other.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

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
