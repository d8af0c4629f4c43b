"""What stands before the Flask app: takes requests whole, and hands on only those that can be answered in time.

Bodies are read on the event loop, within limits on size, time and memory, so a slow client costs a few kilobytes and
never a thread or an engine. The app is called with a body that is all there, by threads: /ping and its like by their
own, which no work can fill up. Knows nothing of photos.
"""

import asyncio
import io
import json
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from serve.metrics import Metrics
from serve.request_state import KEY, RequestState

QUICK_THREADS = 4
LOADING_THREADS = 4
DISCARDED_BYTES = (
    100 * 1024 * 1024
)  # of a refused body: closing on unsent data would cost a client the answer
DISCARD_S = 10.0
GRACE_S = 1.0  # after the deadline, in which the app may still say why


@dataclass(frozen=True)
class ConnectionLimits:
    """requests: worked on at once. body_bytes: of one body; all_bytes: of all bodies together. Times in seconds; timeout_s is that of
    a whole request, counted from its head, body_s that of reading the body."""

    requests: int = 256
    body_bytes: int = 6 * 1024 * 1024
    all_bytes: int = 256 * 1024 * 1024
    body_s: float = 20.0
    timeout_s: float = 60.0


class Refused(Exception):
    """A request that is not handed on: status, sentence, and the reason's name among the metrics. drain: the rest of its body
    is to be read before it is answered."""

    def __init__(
        self,
        status: int,
        sentence: str,
        reason: str,
        retry_after_s: int | None = None,
        drain: bool = False,
    ):
        super().__init__(sentence)
        self.status, self.reason, self.retry_after_s, self.drain = (
            status,
            reason,
            retry_after_s,
            drain,
        )


class Disconnected(Exception):
    """The client went while its request was being read."""


class AsgiGateway:
    """An ASGI app around a WSGI app. too_large: the sentence for bodies above the bound."""

    def __init__(self, app: Callable, limits: ConnectionLimits, metrics: Metrics, too_large: str):
        self._app, self._limits, self._metrics, self._too_large = app, limits, metrics, too_large
        self._work = ThreadPoolExecutor(limits.requests, "work")
        self._loading = ThreadPoolExecutor(LOADING_THREADS, "loading")
        self._quick = ThreadPoolExecutor(QUICK_THREADS, "quick")
        self._working = 0
        self._held_bytes = 0
        self._states: set[RequestState] = set()
        self._last = float("inf")

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return
        state = RequestState.lasting(self._limits.timeout_s)
        received, answer = 0, b""
        try:
            try:
                body = await self._read(scope, receive, state)
                received = len(body)
                status, headers, answer = await self._respond(scope, body, receive, state)
            except Refused as refused:
                self._metrics.rejections.labels(refused.reason).inc()
                if refused.drain:
                    await self._discard(receive)
                status, headers, answer = _refusal(refused)
            closing = (
                [(b"connection", b"close")] if self._last < float("inf") else []
            )  # an answer that says so costs no client its next request
            await send(
                {"type": "http.response.start", "status": status, "headers": [*headers, *closing]}
            )
            await send({"type": "http.response.body", "body": answer})
        except Disconnected:
            state.abandoned.set()
            status = 499
        self._record(scope, status, received, answer, state)

    def stop(self, seconds: float) -> None:
        """The server is to leave: whoever waits longer than this gets a 503 in place of an answer."""
        self._last = time.monotonic() + seconds
        for state in self._states:
            state.deadline = min(state.deadline, self._last)

    async def _read(self, scope: dict, receive: Callable, state: RequestState) -> bytes:
        """The whole body, its length added to what is held. Refused for one that is too large, too slow, or one too many; Disconnected."""
        if int(dict(scope["headers"]).get(b"content-length", b"0")) > self._limits.body_bytes:
            asks_first = dict(scope["headers"]).get(b"expect", b"").lower() == b"100-continue"
            raise Refused(413, self._too_large, "too_large", drain=not asks_first)
        body, more = bytearray(), True
        try:
            async with asyncio.timeout(self._limits.body_s):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    before = len(body)
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    self._held_bytes += len(body) - before
                    self._check_size(len(body))
        except BaseException as error:
            self._held_bytes -= len(body)
            if isinstance(error, TimeoutError):
                raise Refused(
                    408,
                    f"the body did not arrive within {self._limits.body_s:g} s; send it at once",
                    "too_slow",
                ) from error
            raise
        state.add("read", time.monotonic() - state.started)
        return bytes(body)

    def _check_size(self, length: int) -> None:
        if length > self._limits.body_bytes:
            raise Refused(413, self._too_large, "too_large", drain=True)
        if self._held_bytes > self._limits.all_bytes:
            raise Refused(
                503, "the server holds too many requests; ask again in 1 s", "memory", 1, drain=True
            )

    async def _respond(
        self, scope: dict, body: bytes, receive: Callable, state: RequestState
    ) -> tuple[int, list, bytes]:
        """The app's answer. Refused when too many are being worked on, or this one does not come in time; a client that goes
        meanwhile abandons its state."""
        pool = self._pool(scope)
        call = self._submit(pool, environment(scope, body, state), state)
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            while not call.done():
                # once a second, for the deadline may have been brought forward
                await asyncio.wait(
                    {call, gone} if not gone.done() else {call},
                    timeout=1.0,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if gone.done():
                    state.abandoned.set()
                if (
                    pool is self._work
                    and not call.done()
                    and time.monotonic() > state.deadline + GRACE_S
                ):
                    state.abandoned.set()
                    raise Refused(
                        503, "the answer does not come in time; ask again in 10 s", "overload", 10
                    )
            return call.result()
        finally:
            gone.cancel()

    def _submit(
        self, pool: ThreadPoolExecutor, environ: dict, state: RequestState
    ) -> asyncio.Future:
        """Hand a request to its threads; what it takes is counted until they are done with it, whoever still waits."""
        length = int(environ["CONTENT_LENGTH"])
        if pool is self._work and self._working >= self._limits.requests:
            self._held_bytes -= length
            raise Refused(503, "the server is busy; ask again in 1 s", "overload", 1)
        try:
            call = asyncio.get_running_loop().run_in_executor(pool, _call, self._app, environ)
        except RuntimeError as error:  # no more threads can be had
            self._held_bytes -= length
            raise Refused(
                503, "the server is out of threads; ask again in 1 s", "overload", 1
            ) from error
        self._working += pool is self._work
        state.deadline = min(state.deadline, self._last)
        self._states.add(state)

        def done(call: asyncio.Future) -> None:
            self._working -= pool is self._work
            self._held_bytes -= length
            self._states.discard(state)
            if not call.cancelled():
                call.exception()  # looked at, though nobody may wait for it any more

        call.add_done_callback(done)
        return call

    def _pool(self, scope: dict) -> ThreadPoolExecutor:
        path, method = scope["path"], scope["method"]
        if method == "POST" and (path in WORK_ROUTES or path.endswith("/invoke")):
            return self._work
        return self._loading if method in ("POST", "DELETE") else self._quick

    async def _discard(self, receive: Callable) -> None:
        """Read what the client still sends, within bounds. Disconnected."""
        left, more = DISCARDED_BYTES, True
        try:
            async with asyncio.timeout(DISCARD_S):
                while more and left > 0:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    left -= len(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            return

    def _record(
        self, scope: dict, status: int, received: int, answer: bytes, state: RequestState
    ) -> None:
        """Count a request, and log it as one line of JSON; that /ping is well is not worth a line."""
        seconds = time.monotonic() - state.started
        route = (
            "/models/{name}/invoke"
            if scope["path"].endswith("/invoke")
            else scope["path"]
            if scope["path"] in ROUTES
            else "other"
        )
        self._metrics.requests.labels(route, str(status)).inc()
        if route not in WORK_ROUTES and status == 200:
            return
        stages = dict(state.stages)
        for stage, spent in {**stages, "total": seconds}.items():
            self._metrics.stages.labels(stage).observe(spent)
        self._metrics.photos.inc(state.photos if status == 200 else 0)
        headers = dict(scope["headers"])
        entry = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "inference_id": headers.get(b"x-amzn-sagemaker-inference-id", b"").decode("latin-1")[
                :64
            ]
            or None,
            "bytes": received,
            "photos": state.photos,
            **{f"{stage}_ms": round(spent * 1000, 2) for stage, spent in stages.items()},
            "total_ms": round(seconds * 1000, 2),
        }
        if status >= 400:
            entry["error"] = _sentence(answer)
        sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()


WORK_ROUTES = ("/invocations", "/models/{name}/invoke", "/classify", "/getyogaapp")
ROUTES = (
    "/invocations",
    "/classify",
    "/getyogaapp",
    "/ping",
    "/metrics",
    "/openapi.json",
    "/execution-parameters",
    "/models",
)


def environment(scope: dict, body: bytes, state: RequestState) -> dict:
    """The WSGI environment (PEP 3333) of an ASGI request whose body is all there."""
    server, client = scope.get("server") or ("localhost", 80), scope.get("client") or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        KEY: state,
    }
    for raw_name, value in scope["headers"]:
        name = raw_name.decode("latin-1").upper().replace("-", "_")
        if name not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            name = f"HTTP_{name}"
        environ[name] = (
            f"{environ[name]},{value.decode('latin-1')}"
            if name in environ
            else value.decode("latin-1")
        )
    environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def _call(app: Callable, environ: dict) -> tuple[int, list, bytes]:
    """A WSGI app's answer, whole: status, ASGI headers, body."""
    started: list = []

    def start_response(status: str, headers: list, error: object = None) -> None:
        started[:] = [int(status.split(" ", 1)[0]), headers]

    chunks: Iterable[bytes] = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        getattr(chunks, "close", lambda: None)()
    status, headers = started
    return (
        status,
        [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        body,
    )


async def _disconnect(receive: Callable) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _refusal(refused: Refused) -> tuple[int, list, bytes]:
    body = json.dumps({"error": str(refused)}).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.retry_after_s:
        headers.append((b"retry-after", str(refused.retry_after_s).encode()))
    if refused.status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body may still be on its way
    return refused.status, headers, body


def _sentence(answer: bytes) -> str:
    try:
        return json.loads(answer)["error"]
    except (ValueError, KeyError, TypeError):
        return ""
