"""The end of the server and of its workers: signals, and the answers under way."""

import http.client
import json
import os
import signal
import threading
import time
from typing import Any

import pytest

from runtime.load import Request, load
from runtime.probes import ping
from tests.support.raw_requests import all_of, connect, head
from tests.support.servers import instances, photo, serving

pytestmark = pytest.mark.slow
CALLERS = 16


def test_at_sigterm_what_takes_too_long_gets_a_sentence_and_the_server_leaves_in_time(colours):
    with serving(
        colours.model, SAGEMAKER_MODEL_SERVER_TIMEOUT=600, SAGEMAKER_MAX_PAYLOAD_IN_MB=100
    ) as server:
        many = instances(*[photo("red", "PNG", size=(3000, 3000))] * 1000)  # minutes of decoding
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        # It returns when the server has the body but for the end in the socket's buffer.
        connection.request("POST", "/invocations", many, {"Content-Type": "application/json"})
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=25) == 0
        answer = connection.getresponse()
        document = json.loads(answer.read())
        connection.close()
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "ask again" in document["error"]


def test_a_killed_worker_is_replaced(colours):
    with serving(colours.model) as server:
        (before,) = server.workers()
        os.kill(before, signal.SIGKILL)
        while ping(f"http://127.0.0.1:{server.port}") != 200:
            time.sleep(0.02)
        (after,) = server.workers()
        assert after != before
        assert server.label(photo("blue")) == "blue"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_what_was_accepted_be_answered(colours, number):
    """SIGINT: Ctrl-C, as `docker run` passes it on to the server alone, not to its workers."""
    with serving(colours.model) as server:
        body = photo(size=(60, 60))
        url = f"http://127.0.0.1:{server.port}"
        with connect(server) as connection, connect(server) as idle:
            connection.sendall(head(len(body)) + body[:100])  # its body is still under way
            # Connections are accepted one after the other: with this one, the two before it.
            assert ping(url) == 200
            server.process.send_signal(number)
            while ping(url) == 200:
                time.sleep(0.02)
            connection.sendall(body[100:])
            assert all_of(connection).startswith(b"HTTP/1.1 200")
            assert idle.recv(10) == b""
        assert server.process.wait(timeout=25) == 0


def test_sigterm_under_load_costs_nobody_his_answer_who_had_connected(colours):
    asked = Request("photo", photo(size=(60, 60)), "image/jpeg")
    answers: list[Any] = []
    with serving(colours.model) as server:
        ended = threading.Event()

        def stop() -> None:
            while len(answers) <= CALLERS:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(timeout=25)
            ended.set()

        stopping = threading.Thread(target=stop)
        stopping.start()
        load(
            f"http://127.0.0.1:{server.port}",
            lambda: None if ended.is_set() else asked,
            CALLERS,
            answers.append,
        )
        stopping.join()
        assert server.process.returncode == 0
    lost = [
        answer.error
        for answer in answers
        if answer.status != 200 and not answer.error.startswith("ConnectionRefusedError")
    ]
    assert not lost
    assert sum(answer.status == 200 for answer in answers) > CALLERS
