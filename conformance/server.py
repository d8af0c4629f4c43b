"""One started server, and single HTTP requests to it. Knows no clause and no sample's meaning."""

import contextlib
import http.client
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from conformance.clauses import NotApplicable, Settled
from conformance.targets import Image, Program, Sandbox
from runtime.instances import Instance
from runtime.load import Request

NOWHERE = "http://127.0.0.1:9"  # the discard port: a connection to it is refused
PAUSE_S = 0.02  # between two checks of a server that is starting
TAIL_LENGTH = 160  # characters of a log line in a result
BODY_LENGTH = 120  # bytes of an answer in a result


@dataclass(frozen=True)
class Sample:
    """A body that the server's model can answer, and its type.

    model: the folder to mount at /opt/ml/model; None where none is known.
    """

    body: bytes
    content_type: str
    model: Path | None = None

    def request(self, name: str = "sample") -> Request:
        """The sample as a request for runtime.load."""
        return Request(name, self.body, self.content_type)


@dataclass(frozen=True)
class Reply:
    """headers: with lower-case names. status 0: no answer came, and `error` says why."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    error: str = ""

    def summary(self) -> str:
        """The reply in a few words."""
        if not self.status:
            return f"no answer ({self.error})"
        return f"{self.status} {self.body[:BODY_LENGTH]!r}"

    def timed_out(self) -> bool:
        """Whether no answer came in time."""
        return self.status == 0 and "timed out" in self.error


class Server:
    """A started server.

    lines: its output so far; model: the mounted folder; files_before: the model's files before
    the start, as `files_of` lists them.
    """

    def __init__(
        self,
        target: Image | Program,
        instance: Instance,
        sandbox: Sandbox,
        lines: list[str],
        model: Path,
        files_before: dict[str, list[int]],
    ):
        self.target = target
        self.instance = instance
        self.sandbox = sandbox
        self.lines = lines
        self.model = model
        self.files_before = files_before
        self.started = time.monotonic()
        self.ready_s: float | None = None  # seconds from the start to the first 200 of /ping
        self.pings: list[Reply] = []  # those until the server was ready
        self._url: str | None = None

    @property
    def url(self) -> str | None:
        """Where the server listens; None while that is not known."""
        if not self._url:
            self._url = self.target.url(self.instance, self.sandbox)
        return self._url

    @property
    def address(self) -> str:
        """The URL, or one that refuses connections while the server's own is not known."""
        return self.url or NOWHERE

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Reply:
        """One request over a connection of its own."""
        began = time.monotonic()
        connection = connection_to(self.address, timeout_s)
        try:
            return exchange(connection, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            seconds = time.monotonic() - began
            return Reply(0, seconds=seconds, error=f"{type(error).__name__} {error}".strip())
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """The server's processes, the first one first. Settled where they run elsewhere."""
        found = self.target.pids(self.instance)
        if found and not self.target.sees(self.instance, found[0]):
            raise Settled(NotApplicable("the engine's processes do not run on this machine"))
        return found

    def ping(self, timeout_s: float = 2) -> Reply:
        """GET /ping."""
        return self.ask("GET", "/ping", timeout_s=timeout_s)

    def invoke(
        self,
        body: bytes | Iterator[bytes],
        content_type: str,
        timeout_s: float = 60,
        path: str = "/invocations",
        **headers: str,
    ) -> Reply:
        """POST a body. In the names of headers, _ stands for -."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {"Content-Type": content_type, **more}, timeout_s)

    def wait_ready(self, seconds: float, ping_s: float) -> bool:
        """Ping as SageMaker does until the first 200. False when the server or the time ends."""
        while time.monotonic() < self.started + seconds and self.instance.code() is None:
            if self.url is None:
                time.sleep(PAUSE_S)
                continue
            reply = self.ping(ping_s)
            # a refused connection does not count as a ping: the port is not open yet
            if reply.status or reply.timed_out():
                self.pings.append(reply)
            if reply.status == 200 and self._is_there():
                self.ready_s = time.monotonic() - self.started
                return True
            time.sleep(PAUSE_S)
        return False

    def _is_there(self) -> bool:
        """Whether it still has its address.

        The address of a container that ended is given to the next one, which may answer in its
        place before `code` knows of the end.
        """
        return self.target.url(self.instance, self.sandbox) is not None

    def stop(self, grace_s: float) -> tuple[int | None, float]:
        """Send SIGTERM. Returns the exit code, and the seconds until the end."""
        self.instance.terminate()
        return self.leave(grace_s)

    def leave(self, grace_s: float) -> tuple[int | None, float]:
        """Wait for the end, and send SIGKILL after grace_s seconds.

        Returns the exit code, and the seconds until the end.
        """
        began = time.monotonic()
        ended = self.instance.wait(grace_s)
        seconds = time.monotonic() - began
        # a container's other processes end with its first one; a program's need the signal
        if not ended or self.target.kind == "process":
            self.instance.kill()
        return self.instance.code(), seconds

    def tail(self) -> str:
        """The last line of output, short."""
        return last_line(self.lines)

    def not_ready(self) -> str:
        """Why /ping has not answered 200."""
        code = self.instance.code()
        if code is not None:
            return f"it ended with code {code}: {self.tail()}"
        answer = "no answer"
        if self.pings:
            answer = self.pings[-1].summary()
        seconds = time.monotonic() - self.started
        return f"after {seconds:.0f} s /ping: {answer}; its output ends with: {self.tail()}"


def last_line(lines: Iterable[str]) -> str:
    """The last line that is not blank, short."""
    for line in reversed(list(lines)):
        if line.strip():
            return line.strip()[-TAIL_LENGTH:]
    return "it printed nothing"


def connection_to(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """An HTTP connection that is not open yet."""
    parts = urlsplit(url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | Iterator[bytes] | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection. An iterator's body is sent in chunks."""
    began = time.monotonic()
    chunked = hasattr(body, "__next__")
    # the server may answer, and close the connection, before it has read the whole body
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body, headers or {}, encode_chunked=chunked)
    response = connection.getresponse()
    content = response.read()
    names = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, names, content, time.monotonic() - began)


def connect(url: str, timeout_s: float = 5) -> tuple[socket.socket, float]:
    """An open connection, and the seconds that opening it took."""
    parts = urlsplit(url)
    began = time.monotonic()
    opened = socket.create_connection((parts.hostname, parts.port or 80), timeout=timeout_s)
    return opened, time.monotonic() - began
