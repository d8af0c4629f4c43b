"""Requests that do not reach Flask, and their answers."""

import json

from serve.wsgi import Answer, Headers


class Refused(Exception):
    """A request that does not reach Flask: HTTP status and one sentence for the client.

    reason: its name among the metrics. drain: read the rest of the body before answering.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        reason: str,
        retry_after_s: int | None = None,
        drain: bool = False,
    ):
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.drain = drain


def refusal_of(refused: Refused) -> Answer:
    """The answer to a refused request: one sentence in JSON."""
    body = json.dumps({"error": str(refused)}).encode() + b"\n"
    headers: Headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if refused.retry_after_s:
        headers.append((b"retry-after", str(refused.retry_after_s).encode()))
    if refused.status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body may still be on its way
    return Answer(refused.status, headers, body)
