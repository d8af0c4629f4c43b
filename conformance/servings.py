"""The servers that clauses look at: started, asked, stopped. A server that several clauses look at runs once, until the end."""

import http.client
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from conformance.clauses import Broken, Kept, NotApplicable, Outcome, Settled, Shared
from conformance.limits import ContractLimits
from conformance.targets import Image, Program, Sandbox
from conformance.trainings import listed
from runtime.instances import Instance
from runtime.load import Request

AWAY = (502, 503, 504)
MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"


@dataclass(frozen=True)
class Sample:
    """A body that a server of this model answers, and its type. model: the folder that is mounted at /opt/ml/model, None if none is known."""

    body: bytes
    content_type: str
    model: Path | None = None

    def request(self, name: str = "sample", body: bytes | None = None) -> Request:
        return Request(name, self.body if body is None else body, self.content_type)


@dataclass(frozen=True)
class Reply:
    """headers: with lower-case names. status 0: there was no answer, of which `error` tells."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    error: str = ""

    def summary(self) -> str:
        """The reply in a few words."""
        return f"{self.status} {self.body[:120]!r}" if self.status else f"no answer ({self.error})"


class Server:
    """A started server. lines: of its output; model: the folder that is mounted; found: what `listed` said of it before."""

    def __init__(
        self,
        target: Image | Program,
        machine: Instance,
        sandbox: Sandbox,
        lines: list[str],
        model: Path,
        found: dict[str, list[int]],
    ):
        self.target, self.machine, self.sandbox, self.lines, self.model, self.found = (
            target,
            machine,
            sandbox,
            lines,
            model,
            found,
        )
        self.started, self.ready_s = time.monotonic(), float("nan")
        self.pings: list[Reply] = []  # those until it was ready
        self._url: str | None = None

    @property
    def url(self) -> str | None:
        self._url = self._url or self.target.url(self.machine, self.sandbox)
        return self._url

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 60,
    ) -> Reply:
        """One request over a connection of its own."""
        address, began = urlsplit(self.url or "http://127.0.0.1:9"), time.monotonic()
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=timeout_s)
        try:
            return exchange(connection, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            return Reply(
                0, seconds=time.monotonic() - began, error=f"{type(error).__name__} {error}".strip()
            )
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """Its processes, the first one first. Settled where this machine does not see them."""
        found = self.target.pids(self.machine)
        if found and not self.target.sees(self.machine, found[0]):
            raise Settled(NotApplicable("the engine's processes are not this machine's"))
        return found

    def ping(self, timeout_s: float = 2) -> Reply:
        return self.ask("GET", "/ping", timeout_s=timeout_s)

    def invoke(
        self,
        body: bytes | Iterator[bytes],
        content_type: str,
        timeout_s: float = 60,
        path: str = "/invocations",
        **headers: str,
    ) -> Reply:
        """POST a body; in names of headers, _ stands for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, body, {"Content-Type": content_type, **given}, timeout_s)

    def wait_ready(self, seconds: float, ping_s: float) -> bool:
        """Ping as the platform does, until the first 200; False when it ends or the time is over."""
        while time.monotonic() < self.started + seconds and self.machine.code() is None:
            reply = self.ping(ping_s) if self.url else Reply(0, error="no address")
            if reply.status or "timed out" in reply.error:
                self.pings.append(reply)
            if reply.status == 200:
                self.ready_s = time.monotonic() - self.started
                return True
            time.sleep(0.02)
        return False

    def stop(self, grace_s: float) -> tuple[int | None, float]:
        """SIGTERM; exit code, and seconds until then."""
        self.machine.terminate()
        return self.leave(grace_s)

    def leave(self, grace_s: float) -> tuple[int | None, float]:
        """Wait for the end, and SIGKILL so many seconds later; exit code, and seconds until then."""
        began = time.monotonic()
        ended = self.machine.wait(grace_s)
        seconds = time.monotonic() - began
        if not ended or self.target.kind == "process":
            self.machine.kill()  # a container's other processes end with its first one
        return self.machine.code(), seconds

    def tail(self) -> str:
        return next(
            (line.strip()[-160:] for line in reversed(self.lines) if line.strip()),
            "it printed nothing",
        )


class Servings:
    """All servers of one target. work: a folder of its own; trained: gives the model where the sample has none."""

    def __init__(
        self,
        target: Image | Program,
        sample: Sample,
        limits: ContractLimits,
        work: Path,
        trained: Callable[[], Path | None] = lambda: None,
    ):
        self._trained = trained
        self.target, self.sample, self.limits, self.work = target, sample, limits, work
        self.once = Shared(self)
        self._lock, self._count, self._kept = threading.Lock(), 0, []

    @property
    def source(self) -> Path | None:
        """The folder that models are copied from; it is not mounted itself."""
        return self.sample.model or self._trained()

    def model(self) -> Path:
        """A copy of the model that a server may change; an empty folder where there is none."""
        source = self.source
        with self._lock:
            self._count += 1
            folder = self.work / f"ml-{self._count}" / "model"
        if source:
            shutil.copytree(source, folder)
        else:
            folder.mkdir(parents=True)
        for path in [folder.parent, folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        return folder

    @contextmanager
    def started(
        self, model: Path, sandbox: Sandbox = Sandbox(), mount: str = "/opt/ml/model"
    ) -> Iterator[Server]:
        """A server that has been started, and is gone afterwards."""
        lines, found = [], listed(model)
        server = Server(
            self.target,
            self.target.start("serve", model, sandbox, lines.append, mount),
            sandbox,
            lines,
            model,
            found,
        )
        try:
            yield server
        finally:
            server.machine.kill()

    @contextmanager
    def ready(
        self,
        model: Path | None = None,
        sandbox: Sandbox = Sandbox(),
        mount: str = "/opt/ml/model",
        seconds: float = 0,
    ) -> Iterator[Server]:
        """A server that answers /ping. Settled when it does not, though the plain one did."""
        self.once(plain)  # is settled when that one is not ready
        with self.started(model or self.model(), sandbox, mount) as server:
            if not server.wait_ready(seconds or self.again_s(), self.limits.ping_s):
                raise Settled(Broken(f"it did not get ready: {not_ready(server)}"))
            yield server

    def again_s(self) -> float:
        """How long a further start may take: not the whole 8 minutes where the plain server took seconds."""
        return min(self.limits.start_s, max(self.limits.again_s, 4 * self.once(plain).ready_s))

    def keep(
        self, model: Path, sandbox: Sandbox = Sandbox(), mount: str = "/opt/ml/model"
    ) -> Server:
        """A server that runs until close()."""
        context = self.started(model, sandbox, mount)
        server = context.__enter__()
        self._kept.append(context)
        return server

    def close(self) -> None:
        while self._kept:
            self._kept.pop().__exit__(None, None, None)

    def answers(self, server: Server, **headers: str) -> Outcome:
        """Whether a server answers the sample, as the plain one does."""
        self.once(answer)
        return same(self.asked(server, **headers))

    def asked(self, server: Server, path: str = "/invocations", **headers: str) -> Reply:
        """A server's answer to the sample; asked again while it is not there yet, of which ready_means_ready tells."""
        until = time.monotonic() + self.limits.recover_s
        while True:
            reply = server.invoke(
                self.sample.body, self.sample.content_type, self.limits.invoke_s, path, **headers
            )
            if reply.status not in AWAY or time.monotonic() > until:
                return reply
            time.sleep(0.1)


def same(reply: Reply) -> Outcome:
    """Kept where the sample was answered, as it was alone."""
    return (
        Kept()
        if reply.status == 200
        else Broken(f"the sample was answered with {reply.summary()}; alone it gets 200")
    )


def attempted(servings: Servings) -> Server:
    """The plain server, ready or not; as open as can be, the model's folder writable."""
    server = servings.keep(servings.model())
    server.wait_ready(servings.limits.start_s, servings.limits.ping_s)
    return server


def plain(servings: Servings) -> Server:
    """The plain server, which the other clauses start from."""
    server = servings.once(attempted)
    if server.ready_s != server.ready_s:
        raise Settled(
            NotApplicable(
                "the plain server does not get ready; see starts_with_serve and ready_within_8_minutes"
            )
        )
    return server


def fresh(servings: Servings) -> Server:
    """A server that was started while nothing else ran: the plain one was started beside others."""
    servings.once(plain)
    server = servings.keep(servings.model())
    if not server.wait_ready(servings.again_s(), servings.limits.ping_s):
        raise Settled(Broken(f"it did not get ready: {not_ready(server)}"))
    return server


def any_answer(servings: Servings) -> Reply:
    """The plain server's answer to the sample, whatever it is."""
    first = servings.once(first_answer)
    return servings.asked(servings.once(plain)) if first.status in AWAY else first


def answer(servings: Servings) -> Reply:
    """The plain server's answer to the sample. Settled when that is no 200."""
    reply = servings.once(any_answer)
    if reply.status != 200:
        raise Settled(NotApplicable("the sample is not answered; see answers_the_sample"))
    return reply


def first_answer(servings: Servings) -> Reply:
    """The very first answer to the sample, whatever it is, asked for at once when /ping said 200."""
    return servings.once(plain).invoke(
        servings.sample.body, servings.sample.content_type, servings.limits.invoke_s
    )


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body=None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection."""
    began = time.monotonic()
    try:
        connection.request(
            method, path, body, headers or {}, encode_chunked=hasattr(body, "__next__")
        )
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server may have answered before it had read everything
    got = connection.getresponse()
    content = got.read()
    return Reply(
        got.status,
        {name.lower(): value for name, value in got.getheaders()},
        content,
        time.monotonic() - began,
    )


def connect(url: str, timeout_s: float = 5) -> tuple[socket.socket, float]:
    """An open connection, and the seconds it took."""
    address, began = urlsplit(url), time.monotonic()
    return socket.create_connection(
        (address.hostname, address.port), timeout=timeout_s
    ), time.monotonic() - began


def not_ready(server: Server) -> str:
    """Why a server is not."""
    code = server.machine.code()
    if code is not None:
        return f"it ended with code {code}: {server.tail()}"
    last = server.pings[-1].summary() if server.pings else "nobody answers"
    return f"after {time.monotonic() - server.started:.0f} s /ping: {last}; its output ends with: {server.tail()}"
