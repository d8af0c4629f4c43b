"""The server as a process on a free port: many callers, slow ones, overload, dead workers."""

import json
import socket
import threading

import pytest

from runtime.probes import ping
from tests.support.jobs import COLOURS
from tests.support.raw_requests import all_of, connect, head
from tests.support.servers import instances, photo, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(colours):
    with serving(colours.model) as running:
        yield running


def test_the_server_answers_many_callers_each_its_own_photo(server):
    # Answers would be mixed up under load.
    wrong: list[str] = []

    def ask(colour: str) -> None:
        for _ in range(5):
            if server.label(photo(colour)) != colour:
                wrong.append(colour)

    colours = sorted(COLOURS) * 8
    callers = [threading.Thread(target=ask, args=(colour,)) for colour in colours]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_client_error_comes_through_the_server(server):
    status, answer = server.invoke(b"no photo")
    assert status == 422
    assert "photo" in answer["error"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_answered_before_the_connection_ends(server, declared):
    body = b"x" * 7_000_000
    status, headers, answer = server.ask(
        # An iterator has no length: http.client sends it in chunks.
        "POST",
        "/invocations",
        body if declared else iter([body]),
        {"Content-Type": "image/jpeg"},
    )
    assert status == 413
    assert "larger than 6 MB" in json.loads(answer)["error"]
    assert headers["connection"] == "close"


def test_a_client_that_asks_first_is_refused_before_it_sends(server):
    with connect(server) as connection:
        # curl asks like this before it sends a large body.
        connection.sendall(
            head(7_000_000).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        )
        assert all_of(connection).startswith(b"HTTP/1.1 413")


def test_requests_that_are_no_http_get_a_sentence(server):
    with connect(server) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "error": "the request is not valid HTTP/1.1"
    }


def test_a_body_longer_than_declared_or_never_finished_harms_nobody(server):
    body = photo("blue")
    with connect(server) as longer, connect(server) as shorter:
        # What comes after the body counts as the next request, and is none.
        longer.sendall(head(len(body)) + body + b"and more\r\n\r\n")
        answers = all_of(longer)
        assert answers.startswith(b"HTTP/1.1 200")
        assert answers.count(b"HTTP/1.1 400") == 1
        # Its client leaves with the body unfinished.
        shorter.sendall(head(len(body) + 1000) + body)
    assert server.label(body) == "blue"


def test_slow_clients_hold_up_nobody(server):
    """More of them than any pool has threads, each with half a body sent."""
    body = photo("green")
    slow = [connect(server) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(head(len(body)) + body[:50])
        assert server.label(photo("red")) == "red"
        assert server.ask("GET", "/ping")[0] == 200
        # One of the slow ones goes on.
        slow[7].sendall(body[50:])
        assert slow[7].recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        for connection in slow:
            connection.close()


def test_numbers_and_log_lines_tell_of_each_request(colours, capfd):
    with serving(colours.model) as server:
        assert server.invoke(photo("red"), **{"X-Amzn-SageMaker-Inference-Id": "trace-7"})[0] == 200
        assert server.invoke(instances(photo("red"), photo("blue")), "application/json")[0] == 200
        assert server.invoke(b"no photo")[0] == 422
        _, headers, text = server.ask("GET", "/metrics")
        description = json.loads(server.ask("GET", "/openapi.json")[2])
    numbers = dict(
        line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#")
    )
    assert headers["content-type"].startswith("text/plain; version=")
    assert (
        numbers['slipway_requests_total{route="/invocations",status="200"}']
        == "2.0"
        == numbers['slipway_stage_seconds_count{stage="engine"}']
    )
    assert numbers["slipway_photos_total"] == "3.0"
    assert numbers["slipway_models_loaded"] == "1.0"
    # Everything has been answered.
    assert numbers["slipway_queue_photos"] == "0.0"
    assert 0 < float(numbers['slipway_stage_seconds_sum{stage="total"}']) < 60
    assert float(numbers["process_resident_memory_bytes"]) > 1e7
    assert "/invocations" in description["paths"]
    lines = [
        json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")
    ]
    assert [(line["status"], line["photos"], line["inference_id"]) for line in lines] == [
        (200, 1, "trace-7"),
        (200, 2, None),
        (422, 1, None),
    ]
    assert "it is text, not a photo" in lines[2]["error"]
    assert lines[0]["engine_ms"] > 0
    assert lines[0]["bytes"] == len(photo("red"))


def test_several_workers_add_their_numbers_up(colours):
    with serving(colours.model, SAGEMAKER_MODEL_SERVER_WORKERS=2) as server:
        assert len(server.workers()) == 2
        for _ in range(10):
            assert server.label(photo("red")) == "red"
        # Each worker counts for itself, and either may be asked.
        assert (
            b'slipway_requests_total{route="/invocations",status="200"} 10.0'
            in server.ask("GET", "/metrics")[2]
        )


def test_a_body_that_drips_is_ended(colours):
    with (
        serving(colours.model, SAGEMAKER_MODEL_SERVER_TIMEOUT=3) as server,
        connect(server) as connection,
    ):
        connection.sendall(head(1000))
        stop = threading.Event()

        def drip() -> None:
            # Each byte comes soon enough; all of them together do not.
            while not stop.wait(0.1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert connection.recv(65536).startswith(b"HTTP/1.1 408")
        finally:
            stop.set()
            dripping.join()


def test_more_callers_than_places_are_all_answered(colours):
    with serving(colours.model, SLIPWAY_MAX_REQUESTS=2) as server:
        statuses: list[int] = []
        callers = [
            threading.Thread(target=lambda: statuses.append(server.invoke(photo())[0]))
            for _ in range(60)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert statuses == [200] * 60


def test_a_client_that_ends_its_side_still_gets_its_answer(server):
    body = photo("blue")
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body)
        # Some clients close their side once everything is sent.
        connection.shutdown(socket.SHUT_WR)
        assert all_of(connection).startswith(b"HTTP/1.1 200")


def test_one_byte_chunks_do_not_hold_up_ping(server):
    chunked = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with connect(server) as connection:
        connection.sendall(chunked + b"1\r\nx\r\n" * 150_000)
        assert ping(f"http://127.0.0.1:{server.port}", timeout_s=2) == 200
