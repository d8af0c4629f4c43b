"""uvicorn's server and its HTTP/1.1, with limits on the time a client may take."""

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0  # for a request's head to arrive
UNREAD_S = 30.0  # for which a client may leave its answer unread
# Read at once: a body of one-byte chunks must not keep the event loop from other clients.
READ_BYTES = 16 * 1024
KEEP_ALIVE_S = 75  # SageMaker's client keeps idle connections up to 70 s
BACKLOG = 1024  # connections that wait to be accepted
LINGER_S = 0.2
LEAVE_S = 3.0  # of the time to stop: for answers to reach their clients
SO_ATTACH_FILTER = 26  # Linux; Python's socket module does not name it
BPF_RETURN = 0x06  # the instruction "return" of classic BPF


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with an end for slow connections, and with its 400 in JSON."""

    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(  # type: ignore[override]  # uvicorn narrows the type, too
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        if hasattr(transport, "max_size"):  # asyncio's own transport; it has no public setting
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

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's meaning of True
        """True keeps the connection: the client has sent everything and waits for its answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True

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
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch_head(self) -> None:
        """Start the clock when a head begins, and stop it when the head is complete."""
        if self.conn.their_state is not h11.IDLE:
            self._stop_watch()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_watch(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None


UVICORN_SETTINGS: dict[str, Any] = {  # Any: of uvicorn.Config
    "loop": "asyncio",
    "http": Protocol,
    "ws": "none",
    "lifespan": "off",
    "interface": "asgi3",
    "access_log": False,
    "server_header": False,
}


class Server(uvicorn.Server):
    """uvicorn's server; when it stops, no client that has connected by then is reset.

    Closing a listening socket resets the clients in its queue, and closing a connection resets a
    client that has just sent its next request on it. Therefore, for LINGER_S, requests are answered
    as before, but each answer ends its connection. Then the queue's clients are let in, and have
    LINGER_S as well.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # config.app is the AsgiGateway; uvicorn's type of it knows no `stop`
        app: Any = self.config.app
        stop_s = self.config.timeout_graceful_shutdown or LEAVE_S
        app.stop(stop_s - LEAVE_S)
        await asyncio.sleep(LINGER_S)
        waiting: list[socket.socket] = []
        for listener in sockets or ():
            _refuse_new_connections(listener)
        for listener in sockets or ():
            waiting += _queued(listener)
        for server in self.servers:
            server.close()
        for connection in waiting:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(LINGER_S)
        await super().shutdown(sockets)

    def _protocol(self) -> Protocol:
        return Protocol(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _refuse_new_connections(listener: socket.socket) -> None:
    """Drop the packets that ask for a new connection.

    Clients that come between the emptying of the queue and the closing of the socket try again,
    and are then refused, not reset. A kernel without such filters resets those few.
    """
    # struct sock_filter: code, jump if true, jump if false, bytes to keep; here "keep 0 bytes"
    keep_nothing = ctypes.create_string_buffer(struct.pack("HBBI", BPF_RETURN, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(keep_nothing))  # struct sock_fprog
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _queued(listener: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait to be accepted."""
    listener.setblocking(False)
    with contextlib.suppress(OSError):  # BlockingIOError: the queue is empty
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection
