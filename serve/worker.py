"""gunicorn's worker: uvicorn's event loop, with bounds on what it waits for before a request is there."""

import asyncio
import contextlib
import ctypes
import socket
import struct
import sys
from collections.abc import Iterator

import h11
import uvicorn
from gunicorn.arbiter import Arbiter
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn_worker import UvicornWorker

HEAD_S = 10.0  # in which a request's head must have arrived
UNREAD_S = 30.0  # for which a client may leave its answer unread
READ_BYTES = (
    16 * 1024
)  # at once: a body of one-byte chunks must not keep the event loop from all others
LINGER_S = 0.2
SO_ATTACH_FILTER = 26  # Linux; Python's socket module does not name it
LEAVE_S = 3.0  # of the time to stop in, for answers to reach their clients


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, that also ends connections whose request head does not come, and words its 400 as JSON."""

    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        if self._unread_timer:
            self._unread_timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:
        """True, which keeps the connection, for a client that has sent all it will and waits for its answer."""
        waits = (
            self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        )
        if waits:
            self.cycle.keep_alive = False
        return waits

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread_timer:
            self._unread_timer.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop_watch()  # between requests the keep-alive time counts

    def send_400_response(self, msg: str) -> None:
        body = b'{"error": "the request is not valid HTTP/1.1"}\n'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event))
        self.transport.close()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watch()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_watch(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None


class Server(uvicorn.Server):
    """uvicorn's server, that tells the app when it stops accepting, and resets nobody who has connected by then.

    Closing a listening socket resets who waits in its queue, closing a connection whoever has just sent his next request on it. So for
    LINGER_S all is answered as before, only that each answer ends its connection; then the queue is emptied, and its clients get as long.
    """

    async def shutdown(self, sockets: list | None = None) -> None:
        self.config.app.stop(self.config.timeout_graceful_shutdown - LEAVE_S)
        await asyncio.sleep(LINGER_S)
        for listener in sockets or ():
            _let_nobody_in(listener)
        waiting = [connection for listener in sockets or () for connection in _queued(listener)]
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(LINGER_S)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _let_nobody_in(listener: socket.socket) -> None:
    """Drop what asks for a new connection: who comes between the emptying of the queue and the closing tries again and is refused, not reset."""
    refuse_all = ctypes.create_string_buffer(
        struct.pack("HBBI", 0x06, 0, 0, 0)
    )  # classic BPF: return 0 bytes
    with contextlib.suppress(
        OSError
    ):  # a kernel without it: there the few that come in that moment are reset
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(refuse_all))
        )


def _queued(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted."""
    listener.setblocking(False)
    with contextlib.suppress(OSError):  # the last is that there is none left
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


class Worker(UvicornWorker):
    """One process that answers."""

    CONFIG_KWARGS = {
        "loop": "asyncio",
        "http": Protocol,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "access_log": False,
        "server_header": False,
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout - 1

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Server(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
