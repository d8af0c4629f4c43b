"""Many callers at once on an endpoint, each waiting for its answer before it asks again, in one process that costs little CPU."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 90


@dataclass(frozen=True)
class Request:
    """One POST: what is sent, and a name to tell its answer by."""

    name: str
    body: bytes
    content_type: str = "image/jpeg"
    path: str = "/invocations"

    def encoded(self, host: str) -> bytes:
        """The request as bytes of HTTP/1.1."""
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n\r\n"
        ).encode() + self.body


@dataclass
class Answer:
    """status 0: the connection ended without an answer, of which `error` tells. started, seconds: on time.monotonic's clock."""

    request: Request
    status: int
    body: bytes
    started: float
    seconds: float
    error: str = ""


@dataclass
class Load:
    """What came back. latencies_s: of all answers, in order of their end."""

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds

    def percentile_s(self, share: float) -> float:
        """The latency that this share of the answers stayed within."""
        ordered = sorted(self.latencies_s)
        return (
            ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
        )


def load(
    url: str,
    next_request: Callable[[], Request | None],
    connections: int,
    answered: Callable[[Answer], None] | None = None,
) -> Load:
    """Ask over so many keep-alive connections until `next_request` gives None; each answer is handed to `answered`."""
    return asyncio.run(_load(url, next_request, connections, answered or (lambda answer: None)))


def each(requests: Iterable[Request]) -> Callable[[], Request | None]:
    """For `load`: these, one after the other."""
    left = iter(requests)
    return lambda: next(left, None)


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """While inside: act again and again from a thread, with so many seconds between."""
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
    result, started = Load(), time.monotonic()
    await asyncio.gather(
        *(_caller(urlsplit(url), next_request, answered, result) for _ in range(connections))
    )
    result.seconds = time.monotonic() - started
    return result


async def _caller(address, next_request, answered, result: Load) -> None:
    streams = None
    try:
        while (request := next_request()) is not None:
            started, error, keep = time.monotonic(), "", False
            status, body = 0, b""
            try:
                if streams is None:
                    streams = await asyncio.open_connection(
                        address.hostname, address.port, limit=2**20
                    )
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    status, body, keep = await _exchange(*streams, request.encoded(address.netloc))
            except (
                OSError,
                EOFError,
                ValueError,
                asyncio.IncompleteReadError,
                TimeoutError,
            ) as failure:
                error = f"{type(failure).__name__} {failure}".strip()
            seconds = time.monotonic() - started
            result.latencies_s.append(seconds)
            result.statuses[status] = result.statuses.get(status, 0) + 1
            answered(Answer(request, status, body, started, seconds, error))
            if not keep and streams:
                streams[1].close()
                streams = None
            if status == 0:
                await asyncio.sleep(0.02)
    finally:
        if streams:
            streams[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
) -> tuple[int, bytes, bool]:
    """Status and body of the answer, and whether the connection can be used again."""
    writer.write(data)
    try:
        await writer.drain()
    except ConnectionError:
        pass  # the server may have answered before it had read everything
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(status_line.split(" ")[1]), body, headers.get("connection", "").lower() != "close"


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body
