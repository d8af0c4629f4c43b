"""The gateway before Flask, in this process: limits at their bounds, and what is given back."""

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from serve import asgi_gateway
from serve.asgi_gateway import AsgiGateway, ConnectionLimits
from serve.metrics import Metrics
from serve.request_state import KEY

TOO_LARGE = "the body is too large here"


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A WSGI app that answers with the body."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]


def gateway_of(app: Any = echo, **limits: float) -> AsgiGateway:
    return AsgiGateway(app, ConnectionLimits(**limits), Metrics(), TOO_LARGE)  # type: ignore[arg-type]


class Client:
    """One connection: the messages that it sends, and the answer that it gets."""

    def __init__(self, *chunks: bytes, ends: bool = True):
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
    assert gateway._held_bytes == 0
    assert gateway._working == 0
    return client


@pytest.mark.parametrize("chunks", [(b"12345",), (b"12", b"34", b"5"), (b"",)])
def test_a_body_within_the_limit_reaches_the_app(chunks):
    client = asked(gateway_of(body_bytes=5), Client(*chunks))
    assert client.status == 200
    assert client.sent[1]["body"] == b"".join(chunks)
    assert b"connection" not in client.headers


@pytest.mark.parametrize(
    "chunks, declared, read",
    [
        ((b"12345", b"6", b"7", b"8"), None, 4),  # the rest is read before the answer
        ((b"12345", b"6"), None, 2),  # nothing is left to wait for
        ((b"123456",), "6", 1),
        ((b"123", b"456"), "6", 2),
    ],
)
def test_a_larger_body_is_refused_when_it_has_been_read(chunks, declared, read):
    headers = {"content_length": declared} if declared else {}
    client = asked(gateway_of(body_bytes=5), Client(*chunks), **headers)
    assert client.status == 413
    assert client.error == TOO_LARGE
    assert client.headers[b"connection"] == b"close"
    assert b"retry-after" not in client.headers
    assert client.read == read


def test_a_client_that_asks_first_need_not_send():
    client = Client(b"123456")
    asked(gateway_of(body_bytes=5), client, content_length="6", expect="100-Continue")
    assert client.status == 413
    assert client.read == 0


def test_a_declared_body_of_the_limit_is_taken():
    assert asked(gateway_of(body_bytes=5), Client(b"12345"), content_length="5").status == 200


@pytest.mark.parametrize("held, status", [(5, 200), (6, 503)])
def test_all_bodies_together_have_a_limit(held, status):
    gateway = gateway_of(all_bytes=10)
    gateway._held_bytes = held
    client = Client(b"12345")
    asyncio.run(client.ask(gateway))
    assert client.status == status
    assert client.read == 1 + (status == 200)  # an app's client is watched, a refused one is not
    assert gateway._held_bytes == held
    if status == 503:
        assert client.error == "the server holds too many requests; ask again in 1 s"
        assert client.headers[b"retry-after"] == b"1"
        assert b"connection" not in client.headers


def test_a_refused_client_is_read_for_a_while_only(monkeypatch):
    monkeypatch.setattr(asgi_gateway, "DISCARDED_BYTES", 10)
    client = Client(b"12345678", *[b"12345"] * 9)
    assert asked(gateway_of(body_bytes=5), client).status == 413
    assert client.read == 3  # the one too large, and ten bytes


def test_a_refused_client_that_does_not_go_on_gets_its_answer(monkeypatch):
    monkeypatch.setattr(asgi_gateway, "DISCARD_S", 0.01)
    client = Client(b"123456", ends=False)
    assert asked(gateway_of(body_bytes=5), client).status == 413


def test_a_body_that_does_not_arrive_is_a_408():
    client = asked(gateway_of(body_s=0.01), Client(b"123", ends=False))
    assert client.status == 408
    assert client.error == "the body did not arrive within 0.01 s; send it at once"
    assert client.headers[b"connection"] == b"close"


def test_a_client_that_goes_while_it_sends_gets_nothing(capsys):
    client = Client(b"123", ends=False)
    client.goes = True
    asked(gateway_of(), client)
    assert client.sent == []
    line = json.loads(capsys.readouterr().out)
    assert line["status"] == 499
    assert line["bytes"] == 0


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


def test_no_more_requests_are_worked_on_than_allowed():
    app = Slow()
    gateway = gateway_of(app, requests=2)
    clients = [Client(b"body") for _ in range(3)]

    async def story() -> None:
        working = [asyncio.create_task(client.ask(gateway)) for client in clients[:2]]
        await app.entered(2)
        assert gateway._held_bytes == 8
        await clients[2].ask(gateway)
        assert gateway._held_bytes == 8
        ping = Client(b"")
        pinging = asyncio.create_task(ping.ask(gateway, "GET", "/ping"))
        await app.entered(3)  # other pools are open
        app.may.set()
        await asyncio.gather(pinging, *working)
        later = Client(b"body")
        await later.ask(gateway)
        assert later.status == 200

    asyncio.run(story())
    assert [client.status for client in clients] == [200, 200, 503]
    assert clients[2].error == "the server is busy; ask again in 1 s"
    assert clients[2].headers[b"retry-after"] == b"1"
    assert gateway._held_bytes == 0
    assert gateway._working == 0
    assert gateway._states == set()


def test_without_threads_a_request_is_refused():
    gateway = gateway_of()
    gateway._work.shutdown()
    client = asked(gateway, Client(b"body"))
    assert client.status == 503
    assert client.error == "the server is out of threads; ask again in 1 s"
    assert client.headers[b"retry-after"] == b"1"


def test_a_client_that_goes_marks_its_request():
    app = Slow()
    gateway = gateway_of(app)
    client = Client(b"body")
    client.goes = True

    async def story() -> None:
        asking = asyncio.create_task(client.ask(gateway))
        await app.entered(1)
        while not app.states[0].abandoned.is_set():
            await asyncio.sleep(0.001)
        app.may.set()
        await asking

    asyncio.run(story())
    assert client.status == 200  # nobody reads it


@pytest.mark.parametrize(
    "timeout_s, path, status",
    [(-2, "/invocations", 503), (-2, "/models", 200), (5, "/invocations", 200)],
)
def test_an_answer_that_is_too_late_is_not_waited_for(timeout_s, path, status):
    app = Slow()
    gateway = gateway_of(app, timeout_s=timeout_s)
    client = Client(b"body")
    client.goes = True  # wakes the gateway at once

    async def story() -> None:
        asking = asyncio.create_task(client.ask(gateway, "POST", path))
        await app.entered(1)
        await asyncio.wait([asking], timeout=0.05)
        app.may.set()
        await asking

    asyncio.run(story())
    assert client.status == status
    if status == 503:
        assert client.error == "the answer does not come in time; ask again in 10 s"
        assert client.headers[b"retry-after"] == b"10"
        assert app.states[0].abandoned.is_set()


def test_a_stop_brings_deadlines_forward_and_ends_connections():
    app = Slow()
    gateway = gateway_of(app, timeout_s=60)
    early = Client(b"body")
    late = Client(b"body")

    async def story() -> None:
        first = asyncio.create_task(early.ask(gateway))
        await app.entered(1)
        gateway.stop(7)
        second = asyncio.create_task(late.ask(gateway))
        await app.entered(2)
        for state in app.states:
            assert 5 < state.left_s() <= 7
        gateway.stop(20)  # never later
        assert app.states[0].left_s() <= 7
        app.may.set()
        await asyncio.gather(first, second)

    asyncio.run(story())
    for client in (early, late):
        assert client.status == 200
        assert client.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    "method, path, pool",
    [
        ("POST", "/invocations", "_work"),
        ("POST", "/classify", "_work"),
        ("POST", "/models/a/invoke", "_work"),
        ("POST", "/models", "_loading"),
        ("DELETE", "/models/a", "_loading"),
        ("DELETE", "/invocations", "_loading"),
        ("GET", "/ping", "_quick"),
        ("GET", "/invocations", "_quick"),
        ("GET", "/models/a/invoke", "_quick"),
    ],
)
def test_each_kind_of_request_has_threads_of_its_own(method, path, pool):
    gateway = gateway_of()
    assert gateway._pool({"method": method, "path": path}) is getattr(gateway, pool)


def test_other_protocols_are_left_alone():
    client = Client()
    asyncio.run(gateway_of()({"type": "lifespan"}, client.receive, client.send))
    assert client.sent == []
    assert client.read == 0


def test_the_time_of_reading_is_noted():
    app = Slow()
    app.may.set()
    before = time.monotonic()
    asked(gateway_of(app), Client(b"body"))
    assert 0 <= app.states[0].stages["read"] <= time.monotonic() - before
