"""A request and its answer, for API Gateway's events and for a server of our own."""

import json
from dataclasses import dataclass, field

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Request:
    """method: in capitals. path: from "/". body: as sent, decoded.

    query: the last value of each name. headers: by their names in lower case.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """The whole answer; content_type stands beside the other headers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class Failure(Exception):
    """A request that gets no answer: HTTP status, and one sentence for the client.

    retry_after_s: seconds until the client may ask again, where that can help.
    """

    def __init__(
        self,
        status: int,
        sentence: str,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(sentence)
        self.status = status
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})
        if retry_after_s:
            self.headers["Retry-After"] = str(retry_after_s)


def json_answer(
    document: object, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """An answer in JSON that no cache keeps, and that no browser reads as HTML."""
    # JSON may hold half of a surrogate pair, UTF-8 may not: it goes back as it came, \udxxx
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    own = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return Answer(status, body, headers={**own, **(headers or {})})
