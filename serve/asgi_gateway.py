"""The ASGI app in front of Flask: it reads requests whole and refuses those that are too much.

The event loop reads the bodies, within limits on size, time and memory: a slow client costs a few
kilobytes, and never a thread or an engine. Threads then call Flask with a body that is all there.
/ping and its like have threads of their own, which no work can fill up. Knows nothing of photos.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from artifact.host.host_rule import HostRule
from serve.admission import Pace
from serve.metrics import Metrics
from serve.refused import Refused, refusal_of
from serve.request_log import WORK_ROUTES, record
from serve.request_state import RequestState
from serve.wsgi import Answer, Environment, Scope, WsgiApp, call, environment, refusal

if TYPE_CHECKING:
    from serve.traces import Traces

QUICK_THREADS = 4
LOADING_THREADS = 4
# Bytes read of a refused body: closing on unread data would cost the client its answer.
DISCARDED_BYTES = 100 * 1024 * 1024
DISCARD_S = 10.0
GRACE_S = 1.0  # after the deadline: the app may still say why it is late
MOST_WAITING = 4096  # requests without a thread yet; each takes memory
NEVER = float("inf")

Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of one worker process. Sizes in bytes, times in seconds.

    requests: worked on at the same time; others wait. body_bytes: of one body. all_bytes: of all
    bodies together. body_s: to read one body. timeout_s: of a whole request, from its first byte.
    """

    requests: int = 256
    body_bytes: int = 6 * 1024 * 1024
    all_bytes: int = 256 * 1024 * 1024
    body_s: float = 20.0
    timeout_s: float = 60.0


class Disconnected(Exception):
    """The client closed the connection while its request was being read."""


class AsgiGateway:
    """An ASGI app around a WSGI app.

    too_large: the sentence for a body above the limit. hosts: whom it answers; None for all.
    traces: where a span of each request goes; None for nowhere.
    """

    def __init__(
        self,
        app: WsgiApp,
        limits: ConnectionLimits,
        metrics: Metrics,
        too_large: str,
        hosts: HostRule | None = None,
        traces: "Traces | None" = None,
    ):
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._too_large = too_large
        self._hosts = hosts
        self._traces = traces
        self._work = ThreadPoolExecutor(limits.requests, "work")
        self._loading = ThreadPoolExecutor(LOADING_THREADS, "loading")
        self._quick = ThreadPoolExecutor(QUICK_THREADS, "quick")
        # Only the event loop's thread changes these, so they need no lock.
        self._pace = Pace()  # of the work
        self._held_bytes = 0
        self._states: set[RequestState] = set()
        self._stop_at = NEVER  # on time.monotonic's clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        state = RequestState.lasting(self._limits.timeout_s)
        if self._traces:
            state.spans = []
        received = 0
        try:
            try:
                self._check_caller(scope)
                body = await self._read(scope, receive, state)
                received = len(body)
                answer = await self._respond(scope, body, receive, state)
            except Refused as refused:
                self._metrics.rejections.labels(refused.reason).inc()
                if refused.drain:
                    await self._discard(receive)
                answer = refusal_of(refused)
            await self._send(answer, send)
        except Disconnected:
            state.abandoned.set()
            answer = Answer(499, [], b"")  # for the log; nobody is there to read it
        record(self._metrics, scope, answer, received, state, self._traces)

    def stop(self, seconds: float) -> None:
        """Prepare to leave: a request that takes longer than this gets a 503 as its answer."""
        self._stop_at = time.monotonic() + seconds
        if self._traces:
            self._traces.stop()
        for state in self._states:
            state.deadline = min(state.deadline, self._stop_at)

    async def _send(self, answer: Answer, send: Send) -> None:
        headers = answer.headers
        if self._stop_at < NEVER:
            # an answer that announces the end costs no client its next request
            headers = [*headers, (b"connection", b"close")]
        start = {"type": "http.response.start", "status": answer.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body})

    async def _read(self, scope: Scope, receive: Receive, state: RequestState) -> bytes:
        """The whole body, its length added to the bytes held. Raises Refused, Disconnected."""
        self._check_declared_size(scope)
        body = bytearray()
        more = True
        try:
            async with asyncio.timeout(self._limits.body_s):
                while more:
                    message = await _message(receive)
                    chunk = message.get("body", b"")
                    body += chunk
                    more = message.get("more_body", False)
                    self._held_bytes += len(chunk)
                    self._check_size(len(body), more)
        except BaseException as error:
            self._held_bytes -= len(body)
            if isinstance(error, TimeoutError):
                sentence = (
                    f"the body did not arrive within {self._limits.body_s:g} s; send it at once"
                )
                raise Refused(408, sentence, "too_slow") from error
            raise
        state.add("read", time.monotonic() - state.started)
        return bytes(body)

    def _check_caller(self, scope: Scope) -> None:
        sentence = self._hosts and refusal(self._hosts, scope)
        if sentence:
            raise Refused(403, sentence, "foreign", drain=True)

    def _check_declared_size(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if int(headers.get(b"content-length", b"0")) <= self._limits.body_bytes:
            return
        # a client that waits for "100 Continue" has sent nothing that must be read first
        asks_first = headers.get(b"expect", b"").lower() == b"100-continue"
        raise Refused(413, self._too_large, "too_large", drain=not asks_first)

    def _check_size(self, length: int, more: bool) -> None:
        """more: a part of the body is still to come, and must be read before the answer."""
        if length > self._limits.body_bytes:
            raise Refused(413, self._too_large, "too_large", drain=more)
        if self._held_bytes > self._limits.all_bytes:
            sentence = "the server holds too many requests; ask again in 1 s"
            raise Refused(503, sentence, "memory", 1, drain=more)

    async def _respond(
        self, scope: Scope, body: bytes, receive: Receive, state: RequestState
    ) -> Answer:
        """Flask's answer. Refused when too many requests are worked on, or this one is too late.

        A client that goes meanwhile marks its request's state as abandoned.
        """
        pool = self._pool(scope)
        answer = self._submit(pool, environment(scope, body, state), state)
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            while not answer.done():
                awaited: set[asyncio.Future[Answer] | asyncio.Future[None]] = {answer}
                if not gone.done():
                    awaited.add(gone)
                # once a second, because `stop` may bring the deadline forward
                await asyncio.wait(awaited, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    state.abandoned.set()
                late = time.monotonic() > state.deadline + GRACE_S
                if late and pool is self._work and not answer.done():
                    state.abandoned.set()
                    sentence = "the answer does not come in time; ask again in 10 s"
                    raise Refused(503, sentence, "overload", 10)
            return answer.result()
        finally:
            gone.cancel()

    def _submit(
        self, pool: ThreadPoolExecutor, environ: Environment, state: RequestState
    ) -> "asyncio.Future[Answer]":
        """Give a request to a pool's threads.

        Its bytes and its place count until the threads are done with it, even if nobody waits.
        """
        length = int(environ["CONTENT_LENGTH"])
        is_work = pool is self._work
        try:
            if is_work:
                self._check_wait(state)
            answer = asyncio.get_running_loop().run_in_executor(pool, call, self._app, environ)
        except Refused:
            self._held_bytes -= length
            raise
        except RuntimeError as error:  # the system gives no more threads
            self._held_bytes -= length
            sentence = "the server is out of threads; ask again in 1 s"
            raise Refused(503, sentence, "overload", 1) from error
        if is_work:
            self._pace.begin()
        state.deadline = min(state.deadline, self._stop_at)
        self._states.add(state)

        def done(answer: "asyncio.Future[Answer]") -> None:
            if is_work:
                self._pace.end()
            self._held_bytes -= length
            self._states.discard(state)
            if not answer.cancelled():
                answer.exception()  # asyncio warns of an error that nobody has looked at

        answer.add_done_callback(done)
        return answer

    def _check_wait(self, state: RequestState) -> None:
        """Raise Refused where a request would wait for a thread until it is too late to answer.

        One that gets a thread at once is the app's to judge.
        """
        under_way = self._pace.under_way
        wait_s = self._pace.wait_s()
        crowded = under_way >= self._limits.requests + MOST_WAITING
        if under_way < self._limits.requests or (wait_s < state.left_s() and not crowded):
            return
        retry_s = max(1, round(wait_s / 2))
        raise Refused(503, f"the server is busy; ask again in {retry_s} s", "overload", retry_s)

    def _pool(self, scope: Scope) -> ThreadPoolExecutor:
        path: str = scope["path"]
        method: str = scope["method"]
        if method == "POST" and (path in WORK_ROUTES or path.endswith("/invoke")):
            return self._work
        if method in ("POST", "DELETE"):
            return self._loading  # of models: it takes seconds, but must not fill the work's pool
        return self._quick

    async def _discard(self, receive: Receive) -> None:
        """Read the bytes that the client still sends, within limits. Raises Disconnected."""
        left = DISCARDED_BYTES
        more = True
        try:
            async with asyncio.timeout(DISCARD_S):
                while more and left > 0:
                    message = await _message(receive)
                    left -= len(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            return


async def _message(receive: Receive) -> Scope:
    """The next part of a body. Raises Disconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


async def _disconnect(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
