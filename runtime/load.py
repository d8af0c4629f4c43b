"""Many callers at once on an endpoint; each waits for its answer before it asks again.

They share one process, so that they cost little CPU beside a server on the same machine.
"""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

ANSWER_TIMEOUT_S = 90
HEAD_BYTES = 2**20  # that an answer's headers may have
RETRY_S = 0.02  # after a connection that ended without an answer

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Request:
    """One POST. name: by which its answer is recognised."""

    name: str
    body: bytes
    content_type: str = "image/jpeg"
    path: str = "/invocations"

    def encoded(self, host: str) -> bytes:
        """The request as bytes of HTTP/1.1."""
        head = [
            f"POST {self.path} HTTP/1.1",
            f"Host: {host}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
        ]
        return "\r\n".join([*head, "", ""]).encode() + self.body


@dataclass
class Answer:
    """An answer, or status 0 and an error where the connection ended without one.

    started is a moment on time.monotonic's clock.
    """

    request: Request
    status: int
    body: bytes
    started: float
    seconds: float
    error: str = ""


@dataclass
class Load:
    """What came back. latencies_s: of all answers, in the order of their ends."""

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)  # status: number of answers

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies_s) / self.seconds

    def percentile_s(self, share: float) -> float:
        """The latency within which this share of the answers came; nan without answers."""
        if not self.latencies_s:
            return float("nan")
        place = int(share * len(self.latencies_s))
        return sorted(self.latencies_s)[min(len(self.latencies_s) - 1, place)]

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.latencies_s.append(answer.seconds)
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1


def load(
    url: str,
    next_request: Callable[[], Request | None],
    connections: int,
    answered: Callable[[Answer], None] | None = None,
) -> Load:
    """Ask over keep-alive connections until `next_request` gives None.

    Each answer is handed to `answered`, in the one thread of all connections.
    """
    return asyncio.run(_load(url, next_request, connections, answered or (lambda answer: None)))


def each(requests: Iterable[Request]) -> Callable[[], Request | None]:
    """For `load`: these, one after the other."""
    left = iter(requests)
    return lambda: next(left, None)


def lasting(requests: Iterable[Request], seconds: float) -> Callable[[], Request | None]:
    """For `load`: these in turn, again and again, until the time from now is over."""
    again = itertools.cycle(requests)
    until = time.monotonic() + seconds
    return lambda: next(again) if time.monotonic() < until else None


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """While inside: act again and again in a thread, with this time between."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            act()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def _load(
    url: str,
    next_request: Callable[[], Request | None],
    connections: int,
    answered: Callable[[Answer], None],
) -> Load:
    result = Load()
    started = time.monotonic()

    def note(answer: Answer) -> None:
        result.add(answer)
        answered(answer)

    callers = [_Caller(urlsplit(url), next_request, note) for _ in range(connections)]
    await asyncio.gather(*(caller.run() for caller in callers))
    result.seconds = time.monotonic() - started
    return result


def arrive(url: str, moments: Sequence[float], next_request: Callable[[], Request]) -> Load:
    """Ask at these moments, in s from now, whether or not earlier answers are there.

    Connections are kept, and as many are opened as wait at once.
    """
    return asyncio.run(_arrive(urlsplit(url), moments, next_request))


async def _arrive(
    address: SplitResult, moments: Sequence[float], next_request: Callable[[], Request]
) -> Load:
    result = Load()
    idle: list[_Caller] = []
    started = time.monotonic()

    async def ask() -> None:
        caller = idle.pop() if idle else _Caller(address, lambda: None, result.add)
        result.add(await caller.ask(next_request()))
        idle.append(caller)

    asked = []
    for moment in moments:
        await asyncio.sleep(max(0.0, started + moment - time.monotonic()))
        asked.append(asyncio.create_task(ask()))
    await asyncio.gather(*asked)
    result.seconds = time.monotonic() - started
    for caller in idle:
        caller.close()
    return result


class _Caller:
    """One client, with one connection at a time."""

    def __init__(
        self,
        address: SplitResult,
        next_request: Callable[[], Request | None],
        answered: Callable[[Answer], None],
    ) -> None:
        self._address = address
        self._next_request = next_request
        self._answered = answered
        self._streams: Streams | None = None

    async def run(self) -> None:
        """Ask until there are no more requests."""
        try:
            while True:
                request = self._next_request()
                if request is None:
                    return
                answer = await self.ask(request)
                self._answered(answer)
                if answer.status == 0:
                    await asyncio.sleep(RETRY_S)
        finally:
            self.close()

    async def ask(self, request: Request) -> Answer:
        """One request's answer."""
        started = time.monotonic()
        answer = Answer(request, 0, b"", started, 0.0)
        keep = False
        try:
            streams = await self._connected()
            data = request.encoded(self._address.netloc)
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer.status, answer.body, keep = await _exchange(*streams, data)
        except (OSError, EOFError, ValueError, TimeoutError) as failure:
            answer.error = f"{type(failure).__name__} {failure}".strip()
        answer.seconds = time.monotonic() - started
        if not keep:
            self.close()
        return answer

    async def _connected(self) -> Streams:
        if self._streams is None:
            self._streams = await asyncio.open_connection(
                self._address.hostname, self._address.port, limit=HEAD_BYTES
            )
        return self._streams

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
) -> tuple[int, bytes, bool]:
    """Status and body of the answer, and whether the connection can be used again."""
    writer.write(data)
    with suppress(ConnectionError):  # the server may answer before it has read everything
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    keep = headers.get("connection", "").lower() != "close"
    return int(status_line.split(" ")[1]), body, keep


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A body that comes in chunks: the size of each, in hexadecimal, is a line before it."""
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        if size == 0:
            break
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body
