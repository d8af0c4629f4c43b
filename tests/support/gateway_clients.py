"""The gateway before Flask in this process, and clients that send as a test says."""

import asyncio
import json
import threading
from typing import Any

from serve.asgi_gateway import AsgiGateway, ConnectionLimits
from serve.metrics import Metrics
from serve.request_state import KEY

TOO_LARGE = "the body is too large here"


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI app that answers with the body."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


def gateway_of(app: Any = echo, **limits: float) -> AsgiGateway:
    given: dict[str, Any] = dict(limits)  # whole numbers and seconds
    return AsgiGateway(app, ConnectionLimits(**given), Metrics(), TOO_LARGE)


class Client:
    """One connection: the messages that it sends, and the answer that it gets."""

    def __init__(self, *chunks: bytes, ends: bool = True):
        # ASGI's messages of a body, in pieces as they come from the network.
        self.left = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        if self.left and ends:
            self.left[-1]["more_body"] = False
        self.read = 0
        self.goes = False  # after what it sends
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        self.read += 1
        if self.left:
            return self.left.pop(0)
        # A client that neither sends nor goes: the gateway's own limits must end it.
        if not self.goes:
            await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(
        self, gateway: AsgiGateway, method: str = "POST", path: str = "/invocations", **headers: str
    ) -> None:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }
        await gateway(scope, self.receive, self.send)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def error(self) -> str:
        sentence: str = json.loads(self.sent[1]["body"])["error"]
        return sentence


def asked(gateway: AsgiGateway, client: Client, *arguments: str, **headers: str) -> Client:
    asyncio.run(client.ask(gateway, *arguments, **headers))
    # Whatever happened, nothing of the request may be left counted.
    assert gateway._held_bytes == 0
    assert gateway._pace.under_way == 0
    return client


class Slow:
    """A WSGI app that answers when it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.states: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.states.append(environ[KEY])
        self.may.wait(5)
        return echo(environ, start_response)

    async def entered(self, count: int) -> None:
        while len(self.states) < count:
            await asyncio.sleep(0.001)
