"""Requests that can be read in two ways, whole URLs as targets, and who waits for whose bytes."""

import asyncio
import json

import pytest

from serve.http_rules import HEAD_LINES
from serve.request_state import RequestState
from serve.turns import HALF_LIFE_S, Cost, Turns
from serve.wsgi import environment
from tests.support.raw_requests import all_of, connect
from tests.support.servers import photo, serving


@pytest.fixture(scope="module")
def server(colours):
    with serving(colours.model) as running:
        yield running


def sent(server, request: bytes) -> bytes:
    """All answers to what one connection sends, until the server closes it."""
    with connect(server) as connection:
        connection.sendall(request)
        return all_of(connection)


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


POST = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
CLOSE = b"Connection: close\r\n"
PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"transfer-encoding: Chunked\r\ncontent-length: 0\r\n",
    ],
)
def test_a_body_with_two_lengths_is_refused_and_the_connection_closed(server, lengths):
    answer = sent(server, POST + lengths + b"\r\n0\r\n\r\n" + PING)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"a:b\r\n" * (HEAD_LINES + 1),
        b"a: " + b"b" * 100_000 + b"\r\n",
    ],
)
def test_other_heads_that_no_client_sends_are_refused(server, head):
    answer = sent(server, POST + head + b"\r\n" + PING)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_in_chunks_in_http_1_0_is_refused(server):
    answer = sent(
        server,
        b"POST /invocations HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
        b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(photo(), 100),
    )
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_header_with_an_underscore_is_none(server):
    """Else a client sets by it what a front door sets by the name with a hyphen."""
    body = photo("red")
    head = POST + CLOSE + b"X_Amzn_SageMaker_Custom_Attributes: top_k=1\r\nContent_Length: 3\r\n"
    answer = sent(server, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    _, _, found = answer.partition(b"\r\n\r\n")
    assert len(json.loads(found)["predictions"][0]["top"]) == 3


def test_headers_with_underscores_do_not_reach_the_app():
    headers = [(b"a_b", b"1"), (b"a-b", b"2"), (b"content_type", b"x"), (b"x_", b"3")]
    scope = {"method": "GET", "raw_path": b"/", "query_string": b"", "http_version": "1.1"}
    environ = environment({**scope, "scheme": "http", "headers": headers}, b"", RequestState(1))
    assert environ["HTTP_A_B"] == "2"
    assert "CONTENT_TYPE" not in environ
    assert not [name for name in environ if name.startswith("HTTP_X")]


@pytest.mark.parametrize(
    "target, status",
    [
        (b"http://localhost:8080/ping", b"200"),
        (b"HTTP://LOCALHOST/ping?x=1", b"200"),
        (b"https://127.0.0.1/ping", b"200"),
        (b"http://localhost/none", b"404"),
        (b"http://localhost", b"404"),
        (b"http://localhost?x", b"404"),
        (b"http://elsewhere/ping", b"403"),  # its host counts, not the header's
        (b"http://", b"400"),
        (b"http:///ping", b"400"),
        (b"http://a b/ping", b"400"),
        (b"http://[/ping", b"403"),
    ],
)
def test_a_whole_url_as_a_target_is_its_path(server, target, status):
    answer = sent(server, b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "line, status",
    [
        (b"get /ping", b"400"),  # a rule of a front door on GET would not see it
        (b"Post /invocations", b"400"),
        (b"GET /metrics//x", b"404"),  # not a redirect, which would name any Host
    ],
)
def test_a_request_is_read_as_a_front_door_reads_it(server, line, status):
    answer = sent(server, line + b" HTTP/1.1\r\nHost: localhost\r\n" + CLOSE + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"location:" not in answer.lower()


def test_an_offer_of_another_protocol_is_passed_by(server):
    body = photo("red")
    offer = b"Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
    answer = sent(server, POST + offer + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_photo_in_chunks_of_one_byte_is_answered(server):
    body = photo("green")
    answer = sent(server, POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 1))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"label": "green"' in answer


def test_a_client_that_ends_its_side_at_once_gets_its_answer(server):
    with connect(server) as connection:
        connection.sendall(PING)
        connection.shutdown(1)
        assert all_of(connection).startswith(b"HTTP/1.1 200 ")


def test_a_ping_is_answered_while_others_send_single_bytes(server):
    """bench/fairness.py has the times."""
    request = POST + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 10_000, 1)
    connections = [connect(server) for _ in range(10)]
    for connection in connections:
        connection.sendall(request)
    for _ in range(5):
        assert server.ask("GET", "/ping")[0] == 200
    for connection in connections:
        with connection:
            assert all_of(connection).startswith(b"HTTP/1.1 422 ")


class Costly:
    """A parser that notes its turns, and asks for `more` of them."""

    def __init__(self, name: str, cost_s: float, turns: Turns, log: list[str], more: int = 0):
        self.name = name
        self.cost_s = cost_s
        self.more = more
        self._turns = turns
        self._log = log

    def take_turn(self) -> None:
        self._log.append(self.name)
        if self.more:
            self.more -= 1
            self._turns.ask(self)


def test_who_has_cost_least_is_first():
    async def order() -> list[str]:
        log: list[str] = []
        turns = Turns(asyncio.get_running_loop())
        for name, cost in (("dear", 9.0), ("cheap", 0.1), ("new", 0.0), ("new too", 0.0)):
            turns.ask(Costly(name, cost, turns, log, more=int(name == "cheap")))
        while len(log) < 5:
            await asyncio.sleep(0)
        return log

    assert asyncio.run(order()) == ["new", "new too", "cheap", "cheap", "dear"]


def test_an_error_in_a_turn_keeps_nobody_from_theirs():
    async def order() -> list[str]:
        log: list[str] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: log.append(repr(context["exception"])[:9]))
        turns = Turns(loop)
        broken = Costly("broken", 0, turns, log)
        broken.more = "x"  # type: ignore[assignment]  # it fails by that
        turns.ask(broken)
        turns.ask(Costly("next", 1, turns, log))
        while len(log) < 3:
            await asyncio.sleep(0)
        return log

    assert asyncio.run(order()) == ["broken", "TypeError", "next"]


def test_what_lies_back_counts_less(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("serve.turns.time.perf_counter", lambda: clock[0])
    cost = Cost()
    cost.add(4)
    clock[0] += HALF_LIFE_S
    assert cost.now() == 2
    cost.add(1)
    assert cost.now() == 3
