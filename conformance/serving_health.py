"""Clauses on GET /ping, SageMaker's health check, and on how soon connections are accepted."""

import contextlib
import socket
import time
from collections.abc import Iterator

from conformance.clauses import SERVING, Broken, Kept, NotApplicable, Outcome, clause
from conformance.server import Server, connect
from conformance.servings import Servings, answer, fresh, plain
from runtime.load import Load, Request, every, load

PROBE_S = 0.05  # between two pings, or connections, under load
UNUSABLE = b"\0conformance: no model\n"
NEVER = float("inf")  # seconds of a ping that got no 200, and of a connection that failed


@clause(SERVING)
def ping_is_empty(servings: Servings) -> Outcome:
    """GET /ping answers 200 with an empty body.

    Source: developer guide, "How your container should respond to health check (ping) requests"
    Fix: answer /ping without a body: Content-Length: 0
    """
    reply = servings.once(plain).ping(servings.limits.ping_s)
    if reply.status != 200 or reply.body:
        return Broken(f"it answered {reply.summary()}")
    return Kept()


@clause(SERVING, alone=True)
def ping_within_2_s_from_the_start(servings: Servings) -> Outcome:
    """From the moment the port is open, every GET /ping is answered within 2 seconds.

    Source: developer guide, "How your container should respond to health check (ping) requests":
        the request timeout is 2 seconds
    Fix: load the model before the port opens, not at the first /ping or request
    """
    pings = servings.once(fresh).pings
    limit_s = servings.limits.ping_s
    slow = [reply for reply in pings if reply.status == 0 or reply.seconds > limit_s]
    if slow:
        return Broken(f"{len(slow)} of the first {len(pings)} took longer")
    return Kept(f"{len(pings)} pings")


@clause(SERVING)
def ping_is_honest(servings: Servings) -> Outcome:
    """Where the model folder holds nothing usable, the server ends, or /ping never answers 200.

    Source: multi-model-server issue 1027; deep-learning-containers issue 2917: an endpoint
        InService without a model
    Fix: load the model before /ping answers 200; where that fails, end, or answer 503
    """
    servings.once(plain)
    if servings.source is None or not any(servings.source.iterdir()):
        return NotApplicable("no model is given")
    model = servings.model()
    for path in model.rglob("*"):
        if path.is_file():
            path.write_bytes(UNUSABLE)
    with servings.started(model) as server:
        if server.wait_ready(servings.broken_s(), servings.limits.ping_s):
            return Broken(
                f"/ping answered 200 after {server.ready_s:.1f} s, though every file of the model "
                "was overwritten"
            )
        code = server.instance.code()
    if code is None:
        return Kept("it kept running and never answered 200")
    return Kept(f"it ended with code {code}")


@clause(SERVING, alone=True)
def ping_under_load(servings: Servings) -> Outcome:
    """GET /ping is answered within 2 seconds while the server works on many requests.

    Source: developer guide, "How your container should respond to health check (ping) requests";
        sagemaker-pytorch-training-toolkit issue 115
    Fix: answer /ping on a thread or worker that predictions cannot occupy: gunicorn's gthread
        workers or an event loop instead of sync workers
    """
    servings.once(answer)
    server = servings.once(plain)
    limit_s = servings.limits.ping_s
    seconds: list[float] = []

    def ping() -> None:
        reply = server.ping(limit_s)
        seconds.append(reply.seconds if reply.status == 200 else NEVER)

    with every(PROBE_S, ping):
        done = _load_for_a_while(servings, server)
    worst = max(seconds, default=NEVER)
    if worst > limit_s:
        late = sum(value > limit_s for value in seconds)
        return Broken(
            f"{late} of {len(seconds)} pings were late or got no 200, under the requests of "
            f"{servings.limits.connections} connections"
        )
    return Kept(f"{worst * 1000:.0f} ms at {done.rate:.0f} answers/s")


@clause(SERVING, alone=True)
def ping_while_bodies_arrive(servings: Servings) -> Outcome:
    """GET /ping is answered within 2 seconds while clients send their bodies slowly.

    Source: developer guide, "How your container should respond to health check (ping) requests"
    Fix: read bodies on an event loop, or put nginx in front: a slow client must not occupy a
        worker
    """
    servings.once(answer)
    server = servings.once(plain)
    count = servings.limits.connections
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_started_body(servings, server))
        reply = server.ping(servings.limits.ping_s)
    if reply.status != 200:
        return Broken(f"while {count} bodies arrived it got {reply.summary()}")
    return Kept(f"{reply.seconds * 1000:.0f} ms")


@clause(SERVING, alone=True)
def ping_while_bodies_drip(servings: Servings) -> Outcome:
    """GET /ping is answered within 2 seconds while bodies drip in, a byte at a time.

    Source: developer guide, "How your container should respond to health check (ping) requests";
        gunicorn's documentation, "Deploying Gunicorn": slow clients
    Fix: read bodies on an event loop, or put nginx in front; let no byte of a body cost more than
        microseconds
    """
    servings.once(answer)
    server = servings.once(plain)
    limit_s = servings.limits.ping_s
    count = servings.limits.connections
    seconds: list[float] = []

    def ping() -> None:
        reply = server.ping(limit_s)
        seconds.append(reply.seconds if reply.status == 200 else NEVER)

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(_started_body(servings, server)) for _ in range(count)]
        stack.enter_context(every(PROBE_S, ping))
        until = time.monotonic() + servings.limits.load_s
        while time.monotonic() < until:
            for client in clients:
                # a server may close the connection of a client that is too slow for it
                with contextlib.suppress(OSError):
                    client.sendall(b"\xff")
            time.sleep(PROBE_S)
    worst = max(seconds, default=NEVER)
    if worst > limit_s:
        late = sum(value > limit_s for value in seconds)
        return Broken(
            f"{late} of {len(seconds)} pings were late or got no 200, beside {count} slow bodies"
        )
    return Kept(f"{worst * 1000:.0f} ms")


@clause(SERVING, alone=True)
def connects_within_250_ms(servings: Servings) -> Outcome:
    """Connections are accepted within 250 ms while the server works on many requests.

    Source: developer guide, "Use your own inference code with hosting services": must accept
        socket connection requests within 250 ms
    Fix: accept on a thread that does nothing else, with a backlog of some hundred connections
    """
    servings.once(answer)
    if not servings.target.near:
        return NotApplicable(
            "only the engine's proxy can be reached from here, and it accepts connections even "
            "where the server does not"
        )
    server = servings.once(plain)
    seconds: list[float] = []

    def probe() -> None:
        try:
            client, took = connect(server.address)
        except OSError:
            seconds.append(NEVER)
            return
        client.close()
        seconds.append(took)

    with every(PROBE_S, probe):
        _load_for_a_while(servings, server)
    worst = max(seconds, default=NEVER)
    if worst > servings.limits.connect_s:
        return Broken(f"one took {worst:.2f} s")
    return Kept(f"{worst * 1000:.0f} ms")


def _load_for_a_while(servings: Servings, server: Server) -> Load:
    """Send the sample over all connections for load_s seconds."""
    until = time.monotonic() + servings.limits.load_s
    request = servings.sample.request()

    def next_request() -> Request | None:
        if time.monotonic() < until:
            return request
        return None

    return load(server.address, next_request, servings.limits.connections)


@contextlib.contextmanager
def _started_body(servings: Servings, server: Server) -> Iterator[socket.socket]:
    """The connection of a request of which ten bytes of 100,000 have been sent."""
    client, _seconds = connect(server.address)
    head = (
        "POST /invocations HTTP/1.1\r\nHost: a\r\n"
        f"Content-Type: {servings.sample.content_type}\r\nContent-Length: 100000\r\n\r\n"
    )
    with client:
        client.sendall(head.encode() + b"\xff" * 10)
        yield client
