"""One client's connection: uvicorn's HTTP/1.1, with limits on the time that it may take."""

import asyncio
import logging
import time
import weakref
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from serve.http_rules import ServerConnection
from serve.request_log import record_no_http
from serve.turns import SLICE_S, Cost, Turns

HEAD_S = 10.0  # for a request's head to arrive
UNREAD_S = 30.0  # for which a client may leave its answer unread
REFUSED_S = 1.0  # in which a client may finish what it sends, before it is cut off
READ_BYTES = 16 * 1024  # read at once, where its parsing may take long
# Of a body whose length is known: its bytes are only joined, and each read costs 30 us.
BODY_READ_BYTES = 128 * 1024

# uvicorn writes lines without a form for what any client may send; the request's log has one.
log = logging.getLogger(__name__)
log.setLevel(logging.ERROR)
_turns: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]" = weakref.WeakKeyDictionary()


def turns_of(loop: asyncio.AbstractEventLoop) -> Turns:
    """The turns of a loop's connections."""
    found = _turns.get(loop)
    if found is None:
        found = Turns(loop)
        _turns[loop] = found
    return found


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, with an end for slow connections, and with its 400 in JSON."""

    conn: ServerConnection
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None
    _asked = False  # for a turn to parse what was received
    _held = False  # reading, until that turn
    _refused = False  # what it sent; what still comes is thrown away
    _ended = False  # the client sends nothing more

    def __init__(self, *arguments: Any, **options: Any):  # Any: uvicorn's own, passed on
        super().__init__(*arguments, **options)
        self.conn = ServerConnection()
        self.logger = log
        self._turns = turns_of(self.loop)
        self._cost = Cost()

    def connection_made(  # type: ignore[override]  # uvicorn narrows the type, too
        self, transport: asyncio.Transport
    ) -> None:
        super().connection_made(transport)
        self._set_read_bytes(transport)
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self.conn.receive_data(data)
        if self._asked:
            self._held = True  # enough is here for its turn
            self.transport.pause_reading()
        self.handle_events()

    def handle_events(self) -> None:
        """Have what was received parsed, in turn with other connections."""
        if not self._asked:
            self._asked = True
            self._turns.ask(self)

    @property
    def cost_s(self) -> float:
        """As Parser's."""
        return self._cost.now()

    def take_turn(self) -> None:
        """As Parser's."""
        self._asked = False
        if self._refused or self.transport.is_closing():
            return
        started = time.perf_counter()
        try:
            self._parse(started + SLICE_S)
        except BaseException:
            self.transport.abort()
            raise
        self._cost.add(time.perf_counter() - started)
        if self.conn.paused:
            self.handle_events()
            return
        if self._held:
            self._held = False
            if not self.flow.read_paused:  # else uvicorn itself resumes
                self.transport.resume_reading()
        if self._ended and not self._stays_open():
            self.transport.close()

    def shutdown(self) -> None:
        """End the connection; a request that has arrived gets its answer first."""
        if self._asked:
            self._parse(float("inf"))
        super().shutdown()

    def _parse(self, until: float) -> None:
        """Handle what was received, or a part of it. until: on time.perf_counter's clock."""
        self.conn.paused = False
        self.conn.pause_at = until
        super().handle_events()
        self._set_read_bytes(self.transport)
        self._watch_head()

    def _set_read_bytes(self, transport: asyncio.Transport) -> None:
        if hasattr(transport, "max_size"):  # asyncio's own transport; it has no public setting
            counted = self.conn.is_in_counted_body
            transport.max_size = BODY_READ_BYTES if counted else READ_BYTES

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        if self._unread_timer:
            self._unread_timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's meaning of True
        """True keeps the connection: the client has sent everything and waits for its answer."""
        self._ended = True
        return not self._refused and (self._asked or self._stays_open())

    def _stays_open(self) -> bool:
        """Whether a client that sends nothing more still waits for an answer."""
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
        record_no_http(self.conn.fault)
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
        # closing on unread data would cost the client its answer
        self._refused = True
        self.transport.write_eof()
        self.transport.resume_reading()
        self.loop.call_later(REFUSED_S, self.transport.close)

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
