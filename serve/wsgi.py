"""One call of the Flask app (WSGI, PEP 3333) for an ASGI request whose body is all there.

It knows nothing of limits, threads or photos.
"""

import io
import sys
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from artifact.host.host_rule import HostRule
from serve.request_state import KEY, RequestState

# Any: both specifications leave the type of a value to its key.
Scope = MutableMapping[str, Any]
Environment = dict[str, Any]
WsgiApp = Callable[..., Iterable[bytes]]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """A whole answer; the names of its headers are in lower case."""

    status: int
    headers: Headers
    body: bytes


def environment(scope: Scope, body: bytes, state: RequestState) -> Environment:
    """The WSGI environment of an ASGI request; Flask finds the request's state in it under KEY."""
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: Environment = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        KEY: state,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name or raw_name == b"upgrade":
            continue  # it would pass for the name with a hyphen; there is one protocol here
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        value = raw_value.decode("latin-1")
        if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = f"HTTP_{name}"
        if name in environ:
            value = f"{environ[name]},{value}"  # a header that comes twice
        environ[name] = value
    environ["CONTENT_LENGTH"] = str(len(body))  # a chunked body has no such header
    return environ


def call(app: WsgiApp, environ: Environment) -> Answer:
    """The app's whole answer. It blocks, so it runs in a thread of its own."""
    status = 0
    headers: Headers = []

    def start_response(line: str, pairs: list[tuple[str, str]], error: object = None) -> None:
        nonlocal status
        status = int(line.split(" ", 1)[0])
        headers[:] = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs
        ]

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    return Answer(status, headers, body)


def refusal(rule: HostRule, scope: Scope) -> str | None:
    """Why a request is refused, in one sentence; None for one that is answered."""
    # A header that comes twice is neither of its values.
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        headers[name] = f"{headers[name]},{text}" if name in headers else text
    host = headers.get(b"host", "")
    target: str = scope["raw_path"].decode("latin-1")
    if not target.startswith("/") and "://" in target:  # an absolute-form target has its own host
        host = target.partition("://")[2].partition("/")[0]
    return rule.refusal(host, headers.get(b"origin"), headers.get(b"referer"))
