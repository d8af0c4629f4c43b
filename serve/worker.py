"""gunicorn's worker: uvicorn's event loop, with bounds on what it waits for before a request is there."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn_worker import UvicornWorker

HEAD_S = 10.0  # in which a request's head must have arrived


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, that also ends connections whose request head does not come, and words its 400 as JSON."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop_watch()  # between requests the keep-alive time counts

    def send_400_response(self, msg: str) -> None:
        body = b'{"error": "the request is not valid HTTP/1.1"}\n'
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"connection", b"close")]
        for event in (h11.Response(status_code=400, headers=headers, reason=b"Bad Request"), h11.Data(data=body), h11.EndOfMessage()):
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


class Worker(UvicornWorker):
    """One process that answers; `graceful_s` seconds to finish what was accepted."""

    CONFIG_KWARGS = {"loop": "asyncio", "http": Protocol, "ws": "none", "lifespan": "off", "interface": "asgi3", "access_log": False, "server_header": False}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = max(1, self.cfg.graceful_timeout - 2)
