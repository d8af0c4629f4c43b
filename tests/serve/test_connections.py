"""A worker's connections and the server's own settings: timers, ends, and folders."""

import asyncio
import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

import h11
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from artifact.model import ArtifactError
from serve import __main__ as starting
from serve import factory, gunicorn_worker, server, temporary, worker
from serve.server import Server
from serve.settings import ServingSettings
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


@pytest.mark.parametrize("graceful_s, app_s", [(24, 21.0), (10, 7.0), (None, 0.0)])
def test_a_stopping_server_lingers_twice(monkeypatch, graceful_s, app_s):
    slept: list[float] = []
    stopped: list[float] = []
    ended: list[object] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def shutdown(self: object, sockets: object = None) -> None:
        ended.append(sockets)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    app = SimpleNamespace(stop=stopped.append)
    config: Any = SimpleNamespace(app=app, timeout_graceful_shutdown=graceful_s)
    stopping: Any = object.__new__(worker.Server)
    stopping.config = config
    listening = SimpleNamespace(close=lambda: ended.append("closed"))
    stopping.servers = [listening]
    asyncio.run(stopping.shutdown())
    assert stopped == [app_s]
    assert slept == [0.2, 0.2]
    assert ended == ["closed", None]


def test_gunicorn_is_set_by_our_settings_alone(monkeypatch):
    monkeypatch.setattr(server, "_memory_folder", lambda: "/somewhere")
    settings = ServingSettings(host="::1", port=81, workers=3, stop_timeout_s=9)
    found = Server(settings).cfg
    assert found.bind == ["::1:81"]
    assert found.workers == 3
    assert found.graceful_timeout == 9
    assert found.timeout == 0  # no heartbeat
    assert found.keepalive == 75  # SageMaker's client keeps idle connections up to 70 s
    assert found.backlog == 1024
    assert found.worker_tmp_dir == "/somewhere"
    assert found.control_socket_disable is True
    assert found.loglevel == "warning"
    assert found.worker_class is gunicorn_worker.Worker


@pytest.mark.parametrize("writable", [True, False])
def test_the_heartbeat_lies_in_memory_where_it_can(monkeypatch, writable):
    monkeypatch.setattr(os, "access", lambda path, mode: writable and mode == os.W_OK)
    expected = "/dev/shm" if writable else tempfile.gettempdir()
    assert server._memory_folder() == expected


def test_a_model_that_cannot_be_used_ends_its_worker(monkeypatch, capsys):
    left: list[int] = []

    def unusable(settings: ServingSettings) -> None:
        raise ArtifactError("no graph")

    monkeypatch.setattr(factory, "make_app", unusable)
    monkeypatch.setattr(os, "_exit", left.append)
    Server(ServingSettings()).load()
    assert left == [3]
    assert capsys.readouterr().err == "serve: failed: no graph\n"


def test_a_dead_engines_worker_leaves_after_ten_seconds(monkeypatch):
    done: list[float] = []
    monkeypatch.setattr(time, "sleep", done.append)
    monkeypatch.setattr(os, "_exit", done.append)
    factory._leave()
    assert done == [10.0, 1]


@pytest.mark.parametrize("owner", [True, False])
def test_only_its_owner_removes_the_folder(tmp_path, owner):
    folder = tmp_path / "folder"
    folder.mkdir()
    temporary._remove(folder, os.getpid() if owner else os.getpid() + 1)
    assert folder.exists() is not owner


def test_temporary_files_lie_in_a_folder_of_their_own(tmp_path, monkeypatch):
    registered: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(atexit, "register", lambda *call: registered.append(call))
    temporary.keep_in_one_folder()
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("slipway-")
    assert tempfile.gettempdir() == str(folder)
    assert registered == [(temporary._remove, folder, os.getpid())]


def test_a_server_removes_what_a_killed_one_left(tmp_path):
    code = "from serve.temporary import keep_in_one_folder as keep; import os; keep(); "
    kill = "os.kill(os.getpid(), 9)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    (tmp_path / "slipway-mine").mkdir()
    left = []
    for end in (kill, kill, "pass"):
        subprocess.run([sys.executable, "-c", code + end], env=environment, check=False)
        left.append(len(list(tmp_path.iterdir())))
    assert left == [2, 2, 1]


def test_where_nothing_can_be_written_nothing_changes(monkeypatch):
    def failing(**_: object) -> str:
        raise OSError("Read-only file system")

    before = tempfile.tempdir
    monkeypatch.setattr(tempfile, "mkdtemp", failing)
    temporary.keep_in_one_folder()
    assert tempfile.tempdir == before


@pytest.mark.parametrize(
    "environment, workers, code",
    [
        ({}, 1, 0),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, 2, 0),
        ({"SAGEMAKER_MULTI_MODEL": "1", "SLIPWAY_MODEL_DIR": "/none"}, 1, 0),
        ({"SLIPWAY_MODEL_DIR": "/none"}, None, 3),
        ({"SLIPWAY_THREADS": "0"}, None, 2),
    ],
)
def test_the_servers_start(colours, monkeypatch, capsys, environment, workers, code):
    variables = {"SLIPWAY_MODEL_DIR": str(colours.model), **environment}
    read = ServingSettings.read.__func__  # type: ignore[attr-defined]  # of the class method
    started: list[ServingSettings] = []
    shared: list[bool] = []
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: read(cls, variables)))
    monkeypatch.setattr(starting, "keep_in_one_folder", lambda: None)
    monkeypatch.setattr(starting, "share_between_workers", lambda: shared.append(True))
    monkeypatch.setattr(
        starting,
        "Server",
        lambda settings: SimpleNamespace(run=lambda: started.append(settings)),
    )
    assert starting.main() == code
    assert [settings.workers for settings in started] == ([] if workers is None else [workers])
    assert shared == ([True] if workers == 2 else [])
    assert bool(capsys.readouterr().err) is (code != 0)
