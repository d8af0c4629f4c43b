"""The gateway before Flask, in this process: threads, deadlines and the end."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from serve import asgi_gateway, request_state
from serve.admission import EVIDENCE, Pace
from serve.answering import ServingLimits
from serve.app import BATCH_PAYLOADS_MB, MIB, Page
from serve.asgi_gateway import MOST_WAITING, ConnectionLimits
from serve.factory import _connection_limits
from serve.settings import UNLIMITED_MB, ServingSettings
from tests.support.gateway_clients import Client, Slow, asked, gateway_of
from web.site import SURE_FROM


def test_a_request_waits_for_a_thread_and_is_answered_in_time():
    app = Slow()
    gateway = gateway_of(app, requests=2)
    clients = [Client(b"body") for _ in range(9)]

    async def story() -> None:
        working = [asyncio.create_task(client.ask(gateway)) for client in clients]
        await app.entered(2)
        while gateway._pace.under_way < 9:
            await asyncio.sleep(0.001)
        assert gateway._held_bytes == 36
        ping = Client(b"")
        pinging = asyncio.create_task(ping.ask(gateway, "GET", "/ping"))
        await app.entered(3)  # other pools are open
        app.may.set()
        await asyncio.gather(pinging, *working)

    asyncio.run(story())
    assert [client.status for client in clients] == [200] * 9
    assert gateway._held_bytes == 0
    assert gateway._pace.under_way == 0
    assert gateway._states == set()


@pytest.mark.parametrize(
    "wait_s, under_way, status, retry",
    [
        (59, 2, 200, None),
        (61, 1, 200, None),
        (61, 2, 503, b"30"),
        (0, MOST_WAITING + 1, 200, None),
        (0, MOST_WAITING + 2, 503, b"1"),
    ],
)
def test_a_request_that_would_be_late_is_refused(monkeypatch, wait_s, under_way, status, retry):
    gateway = gateway_of(requests=2)
    gateway._pace.under_way = under_way
    monkeypatch.setattr(gateway._pace, "wait_s", lambda: wait_s)
    client = Client(b"body")
    asyncio.run(client.ask(gateway))
    assert client.status == status
    assert client.headers.get(b"retry-after") == retry
    assert gateway._held_bytes == 0
    assert gateway._pace.under_way == under_way
    if retry:
        assert client.error == f"the server is busy; ask again in {int(retry)} s"


def test_the_pace_is_that_of_the_answers(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("serve.admission.time.monotonic", lambda: clock[0])
    pace = Pace()
    for _ in range(30):
        pace.begin()
    for _ in range(EVIDENCE):
        assert pace.wait_s() == 0
        clock[0] += 0.5
        pace.end()
    assert pace.wait_s() == pytest.approx(11 * 0.5)  # ten are under way
    for _ in range(10):
        pace.end()
    clock[0] += 3600  # nothing was asked
    pace.begin()
    clock[0] += 0.5
    pace.end()
    assert 0.2 < pace.wait_s() < 0.5


def test_without_threads_a_request_is_refused():
    gateway = gateway_of()
    gateway._work.shutdown()
    client = asked(gateway, Client(b"body"))
    assert client.status == 503
    assert client.error == "the server is out of threads; ask again in 1 s"
    assert client.headers[b"retry-after"] == b"1"


def test_a_client_that_goes_marks_its_request():
    app = Slow()
    gateway = gateway_of(app)
    client = Client(b"body")
    client.goes = True

    async def story() -> None:
        asking = asyncio.create_task(client.ask(gateway))
        await app.entered(1)
        while not app.states[0].abandoned.is_set():
            await asyncio.sleep(0.001)
        app.may.set()
        await asking

    asyncio.run(story())
    assert client.status == 200  # nobody reads it


@pytest.mark.parametrize(
    "timeout_s, path, status",
    [(-2, "/invocations", 503), (-2, "/models", 200), (5, "/invocations", 200)],
)
def test_an_answer_that_is_too_late_is_not_waited_for(timeout_s, path, status):
    app = Slow()
    gateway = gateway_of(app, timeout_s=timeout_s)
    client = Client(b"body")
    client.goes = True  # wakes the gateway at once

    async def story() -> None:
        asking = asyncio.create_task(client.ask(gateway, "POST", path))
        await app.entered(1)
        await asyncio.wait([asking], timeout=0.05)
        app.may.set()
        await asking

    asyncio.run(story())
    assert client.status == status
    if status == 503:
        assert client.error == "the answer does not come in time; ask again in 10 s"
        assert client.headers[b"retry-after"] == b"10"
        assert app.states[0].abandoned.is_set()


@pytest.mark.parametrize("timeout_s, status", [(-1.0, 200), (-1.001, 503)])
def test_the_app_has_a_second_after_the_deadline_to_say_why(monkeypatch, timeout_s, status):
    app = Slow()
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(asgi_gateway, "time", clock)
    monkeypatch.setattr(request_state, "time", clock)
    gateway = gateway_of(app, timeout_s=timeout_s)
    client = Client(b"body")
    client.goes = True  # wakes the gateway at once

    async def story() -> None:
        asking = asyncio.create_task(client.ask(gateway))
        await app.entered(1)
        await asyncio.wait([asking], timeout=0.05)
        app.may.set()
        await asking

    asyncio.run(story())
    assert client.status == status


def test_limits_that_are_not_given_are_those_of_the_settings():
    settings = ServingSettings()
    assert ConnectionLimits() == _connection_limits(settings)
    limits = ServingLimits()
    assert limits.max_payload_mb == settings.max_payload_mb
    assert limits.timeout_s == settings.timeout_s
    assert limits.tolerant is settings.batch_transform
    assert Page().sure_from == settings.sure_from == SURE_FROM
    # a refused body of batch transform's largest size is read to its end
    assert asgi_gateway.DISCARDED_BYTES == UNLIMITED_MB * MIB == BATCH_PAYLOADS_MB * MIB


def test_pools_hold_as_many_threads_as_they_need():
    gateway = gateway_of(requests=7)
    assert gateway._work._max_workers == 7
    assert gateway._loading._max_workers == 4
    assert gateway._quick._max_workers == 4


def test_a_stop_brings_deadlines_forward_and_ends_connections():
    app = Slow()
    gateway = gateway_of(app, timeout_s=60)
    early = Client(b"body")
    late = Client(b"body")

    async def story() -> None:
        first = asyncio.create_task(early.ask(gateway))
        await app.entered(1)
        gateway.stop(7)
        second = asyncio.create_task(late.ask(gateway))
        await app.entered(2)
        for state in app.states:
            assert 5 < state.left_s() <= 7
        gateway.stop(20)  # never later
        assert app.states[0].left_s() <= 7
        app.may.set()
        await asyncio.gather(first, second)

    asyncio.run(story())
    for client in (early, late):
        assert client.status == 200
        assert client.headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    "method, path, pool",
    [
        ("POST", "/invocations", "_work"),
        ("POST", "/classify", "_work"),
        ("POST", "/models/a/invoke", "_work"),
        ("POST", "/models", "_loading"),
        ("DELETE", "/models/a", "_loading"),
        ("DELETE", "/invocations", "_loading"),
        ("GET", "/ping", "_quick"),
        ("GET", "/invocations", "_quick"),
        ("GET", "/models/a/invoke", "_quick"),
    ],
)
def test_each_kind_of_request_has_threads_of_its_own(method, path, pool):
    gateway = gateway_of()
    assert gateway._pool({"method": method, "path": path}) is getattr(gateway, pool)


def test_the_time_of_reading_is_noted():
    app = Slow()
    app.may.set()
    before = time.monotonic()
    asked(gateway_of(app), Client(b"body"))
    assert 0 <= app.states[0].stages["read"] <= time.monotonic() - before
