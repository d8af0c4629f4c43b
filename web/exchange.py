"""A request and its answer, whoever carries them: API Gateway's events or a server of our own."""

import json
from dataclasses import dataclass, field

JSON_TYPE = "application/json"


@dataclass(frozen=True)
class Request:
    """method in capitals; path from "/"; query: its last value by name; headers: by lower-case name; body: as sent, decoded."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """What goes back; content_type stands beside the other headers."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)


class Failure(Exception):
    """A request that gets no answer: HTTP status, one sentence for the client, and if it may ask again, after how many seconds."""

    def __init__(
        self,
        status: int,
        sentence: str,
        retry_after_s: int | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(sentence)
        self.status, self.retry_after_s = status, retry_after_s
        self.headers = {
            **(headers or {}),
            **({"Retry-After": str(retry_after_s)} if retry_after_s else {}),
        }


def json_answer(
    document: object, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """An answer in JSON, that nobody keeps, and that no browser takes for a page."""
    # half of a surrogate pair, which JSON may hold and UTF-8 may not, goes back as it came: as \udxxx
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    return Answer(
        status,
        body,
        headers={
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **(headers or {}),
        },
    )
