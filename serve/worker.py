"""uvicorn's server, which resets no client when it stops."""

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Iterator
from typing import Any

import uvicorn

from serve.connection import Protocol

KEEP_ALIVE_S = 75  # SageMaker's client keeps idle connections up to 70 s
BACKLOG = 1024  # connections that wait to be accepted
LINGER_S = 0.2
LEAVE_S = 3.0  # of the time to stop: for answers to reach their clients
SO_ATTACH_FILTER = 26  # Linux; Python's socket module does not name it
BPF_RETURN = 0x06  # the instruction "return" of classic BPF


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
