"""The gateway before Flask, in this process: bodies at their limits, and what is given back."""

import asyncio
import json

import pytest

from serve import asgi_gateway
from tests.support.gateway_clients import TOO_LARGE, Client, asked, gateway_of


@pytest.mark.parametrize("chunks", [(b"12345",), (b"12", b"34", b"5"), (b"",)])
def test_a_body_within_the_limit_reaches_the_app(chunks):
    client = asked(gateway_of(body_bytes=5), Client(*chunks))
    assert client.status == 200
    assert client.sent[1]["body"] == b"".join(chunks)
    assert b"connection" not in client.headers


@pytest.mark.parametrize(
    "chunks, declared, read",
    [
        ((b"12345", b"6", b"7", b"8"), None, 4),  # the rest is read before the answer
        ((b"12345", b"6"), None, 2),  # nothing is left to wait for
        ((b"123456",), "6", 1),
        ((b"123", b"456"), "6", 2),
    ],
)
def test_a_larger_body_is_refused_when_it_has_been_read(chunks, declared, read):
    headers = {"content_length": declared} if declared else {}
    client = asked(gateway_of(body_bytes=5), Client(*chunks), **headers)
    assert client.status == 413
    assert client.error == TOO_LARGE
    assert client.headers[b"connection"] == b"close"
    assert b"retry-after" not in client.headers
    assert client.read == read


def test_a_client_that_asks_first_need_not_send():
    client = Client(b"123456")
    asked(gateway_of(body_bytes=5), client, content_length="6", expect="100-Continue")
    assert client.status == 413
    assert client.read == 0


def test_a_declared_body_of_the_limit_is_taken():
    assert asked(gateway_of(body_bytes=5), Client(b"12345"), content_length="5").status == 200


@pytest.mark.parametrize("held, status", [(5, 200), (6, 503)])
def test_all_bodies_together_have_a_limit(held, status):
    gateway = gateway_of(all_bytes=10)
    gateway._held_bytes = held
    client = Client(b"12345")
    asyncio.run(client.ask(gateway))
    assert client.status == status
    # An app's client is watched while there is no answer. A refused one is not.
    assert client.read in ((1, 2) if status == 200 else (1,))
    assert gateway._held_bytes == held
    if status == 503:
        assert client.error == "the server holds too many requests; ask again in 1 s"
        assert client.headers[b"retry-after"] == b"1"
        assert b"connection" not in client.headers


def test_a_refused_client_is_read_for_a_while_only(monkeypatch):
    monkeypatch.setattr(asgi_gateway, "DISCARDED_BYTES", 10)
    client = Client(b"12345678", *[b"12345"] * 9)
    assert asked(gateway_of(body_bytes=5), client).status == 413
    assert client.read == 3  # the one too large, and ten bytes


def test_a_refused_client_that_does_not_go_on_gets_its_answer(monkeypatch):
    monkeypatch.setattr(asgi_gateway, "DISCARD_S", 0.01)
    client = Client(b"123456", ends=False)
    assert asked(gateway_of(body_bytes=5), client).status == 413


def test_a_body_that_does_not_arrive_is_a_408():
    client = asked(gateway_of(body_s=0.01), Client(b"123", ends=False))
    assert client.status == 408
    assert client.error == "the body did not arrive within 0.01 s; send it at once"
    assert client.headers[b"connection"] == b"close"


def test_a_client_that_goes_while_it_sends_gets_nothing(capsys):
    client = Client(b"123", ends=False)
    client.goes = True
    asked(gateway_of(), client)
    assert client.sent == []
    line = json.loads(capsys.readouterr().out)
    assert line["status"] == 499
    assert line["bytes"] == 0


def test_other_protocols_are_left_alone():
    client = Client()
    asyncio.run(gateway_of()({"type": "lifespan"}, client.receive, client.send))
    assert client.sent == []
    assert client.read == 0


@pytest.mark.parametrize("declared, status", [(None, 200), ("6", 413)])
def test_a_message_without_fields_is_the_end_of_a_body(declared, status):
    """As the specification of ASGI has it: no bytes, and nothing more to come."""
    client = Client(b"")
    client.left = [{"type": "http.request"}]
    headers = {"content_length": declared} if declared else {}
    asked(gateway_of(body_bytes=5), client, **headers)
    assert client.status == status
    assert client.read in ((1, 2) if status == 200 else (1,))
