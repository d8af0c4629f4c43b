"""A worker's connections: timers, ends, and what is read of them."""

import json
import socket
from types import SimpleNamespace
from typing import Any

import h11
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from serve import worker
from tests.support.protocols import Connection


@pytest.fixture
def connection() -> Connection:
    return Connection()


def test_an_answer_may_stay_unread_for_half_a_minute(connection):
    connection.protocol.resume_writing()  # nothing to cancel yet
    connection.protocol.pause_writing()
    (timer,) = connection.timers
    assert timer.seconds == 30.0
    assert timer.cancelled == 0
    connection.protocol.resume_writing()
    assert timer.cancelled == 1
    timer.call()
    assert connection.closed == 1


def test_a_head_may_take_ten_seconds(connection):
    connection.protocol._watch_head()
    connection.protocol._watch_head()  # the clock goes on
    (timer,) = connection.timers
    assert timer.seconds == 10.0
    timer.call()
    assert connection.closed == 1
    connection.protocol.conn.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.protocol.conn.next_event()
    connection.protocol._watch_head()
    assert timer.cancelled == 1
    assert connection.protocol._head_timer is None
    assert len(connection.timers) == 1


@pytest.mark.parametrize("paused", [True, False])
def test_a_lost_connection_has_no_timers(connection, monkeypatch, paused):
    lost: list[object] = []
    monkeypatch.setattr(H11Protocol, "connection_lost", lambda self, error: lost.append(error))
    connection.protocol._watch_head()
    if paused:
        connection.protocol.pause_writing()
    connection.protocol.connection_lost(None)
    assert [timer.cancelled for timer in connection.timers] == [1] * (1 + paused)
    assert lost == [None]


@pytest.mark.parametrize("size", [True, False])
def test_a_new_connection_is_read_in_small_parts(connection, monkeypatch, size):
    monkeypatch.setattr(H11Protocol, "connection_made", lambda self, transport: None)
    transport: Any = SimpleNamespace(max_size=256 * 1024) if size else SimpleNamespace()
    connection.protocol.connection_made(transport)
    assert getattr(transport, "max_size", 16_384) == 16_384
    assert len(connection.timers) == 1


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "received, size",
    [
        (HEAD, 16),
        (HEAD + b"Content-Length: 9\r\n\r\nbody", 128),
        (HEAD + b"Content-Length: 4\r\n\r\nbody", 16),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n", 16),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 16),
    ],
)
def test_a_body_of_known_length_is_read_in_large_parts(connection, monkeypatch, received, size):
    protocol = connection.protocol
    protocol.transport.max_size = 0

    def parsed(self: Any) -> None:
        while self.conn.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass

    monkeypatch.setattr(H11Protocol, "handle_events", parsed)
    protocol.conn.receive_data(received)
    protocol._parse(float("inf"))
    assert protocol.transport.max_size == size * 1024


def test_what_comes_before_a_turn_is_read_once_more_and_then_held(connection):
    held: list[str] = []
    protocol = connection.protocol
    protocol.transport.pause_reading = lambda: held.append("held")
    protocol.timeout_keep_alive_task = None
    for received in (b"GET / HT", b"TP/1.1\r\n", b"Host: a"):
        protocol.data_received(received)
    assert connection.asked == [protocol]
    assert held == ["held", "held"]


def test_between_requests_no_clock_runs(connection, monkeypatch):
    monkeypatch.setattr(H11Protocol, "on_response_complete", lambda self: None)
    connection.protocol._watch_head()
    (timer,) = connection.timers
    connection.protocol.on_response_complete()
    assert timer.cancelled == 1


@pytest.mark.parametrize(
    "complete, more, kept",
    [(False, False, True), (True, False, False), (False, True, False)],
)
def test_a_client_that_has_sent_all_may_wait_for_its_answer(connection, complete, more, kept):
    cycle = SimpleNamespace(response_complete=complete, more_body=more, keep_alive=True)
    connection.protocol.cycle = cycle
    assert connection.protocol.eof_received() is kept
    assert cycle.keep_alive is not kept


def test_a_client_without_a_request_is_let_go(connection):
    connection.protocol.cycle = None
    assert connection.protocol.eof_received() is False


def test_no_http_is_a_400_in_json(connection, capsys):
    connection.protocol.conn.fault = "illegal request line: " + "x" * 300
    connection.protocol.send_400_response("ignored")
    entry = json.loads(capsys.readouterr().out)
    assert entry["status"] == 400
    assert entry["error"].startswith("not HTTP/1.1: illegal request line: xxx")
    assert len(entry["error"]) < 250
    head, _, body = connection.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"content-type: application/json" in head
    assert b"connection: close" in head
    assert f"content-length: {len(body)}".encode() in head
    assert body == b'{"error": "the request is not valid HTTP/1.1"}\n'
    assert connection.closed == 0
    connection.protocol.data_received(b"more")  # is thrown away
    assert connection.asked == []
    assert connection.protocol.eof_received() is False
    (timer,) = connection.timers
    timer.call()
    assert connection.closed == 1


def test_clients_in_the_queue_are_taken_out_of_it():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(2)]
        worker._refuse_new_connections(listener)
        taken = list(worker._queued(listener))
        assert len(taken) == 2
        assert not any(one.getblocking() for one in taken)
        for one in (*clients, *taken):
            one.close()
