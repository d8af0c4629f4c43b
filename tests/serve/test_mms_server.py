"""slipway-serve-mms from outside: a stand-in for MMS behind the true server; no container."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runtime.ports import free_port
from tests.support.mms_servers import MmsServer, mms_serving, wait_until
from tests.support.raw_requests import all_of, connect, head
from tests.support.servers import instances, photo

pytestmark = pytest.mark.slow
JPEG = {"Content-Type": "image/jpeg"}
HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
ODD = {
    "no type": b"POST /invocations" + HOST + b"Content-Length: 7\r\n\r\n\xff\xd8photo",
    "an odd query": b"POST /invocations?x=%zz" + HOST + b"Content-Length: 1\r\n\r\nx",
    "an odd path": b"GET /%zz" + HOST + b"\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:9" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.fixture(scope="module")
def one(colours, tmp_path_factory):
    """A server of one model, whose clients have 3 s for a request, and so 1 s for its body."""
    orders = tmp_path_factory.mktemp("one")
    with mms_serving(orders, colours.model, SAGEMAKER_MODEL_SERVER_TIMEOUT=3) as running:
        yield running


def sent(one: MmsServer, request: bytes) -> bytes:
    """All that comes back for these bytes, after which the client sends no more."""
    with connect(one.server) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return all_of(connection)


def test_photos_of_every_form_are_answered(one):
    assert one.server.label(photo("red")) == "red"
    status, answer = one.server.invoke(instances(photo("blue"), photo("green")), "application/json")
    assert status == 200
    assert [found["label"] for found in answer["predictions"]] == ["blue", "green"]
    form = (
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="a.jpg"\r\n\r\n'
        + photo("green")
        + b"\r\n--x--\r\n"
    )
    status, answer = one.server.invoke(form, "multipart/form-data; boundary=x")
    assert (status, answer["predictions"][0]["label"]) == (200, "green")


def test_it_says_which_parts_decide(one):
    asked = {"X-Amzn-SageMaker-Custom-Attributes": "saliency=true"}
    status, answer = one.server.invoke(photo("red"), path="/invocations", **JPEG, **asked)
    assert status == 200, answer
    assert answer["saliency"]["label"] == "red"
    wrong = {"body": instances(photo(), photo()), "Content-Type": "application/json"}
    for request, status, words in (
        (wrong, 400, "saliency=true is for one photo"),
        ({"body": b"hello", **JPEG}, 422, "the photo cannot be used"),
        ({"body": photo(), **JPEG, "Accept": "text/csv"}, 406, "answered in application/json"),
    ):
        body = request.pop("body")
        found, answer = one.server.invoke(body, path="/invocations", **request, **asked)
        assert found == status
        assert words in answer["error"]


@pytest.mark.parametrize(
    "body, headers, status, words",
    [
        (b"hello", {}, 422, "the photo cannot be used"),
        (b"", {}, 400, "the body is empty"),
        (photo(), {"Accept": "image/gif"}, 406, "cannot be met"),
        (photo(), {"Content-Type": "text/html"}, 415, "Content-Type 'text/html' is not taken"),
        (
            instances(photo(), b"x"),
            {"Content-Type": "application/json"},
            422,
            "instance 1: ",
        ),
    ],
)
def test_what_cannot_be_answered_gets_one_sentence(one, body, headers, status, words):
    found, answer = one.server.invoke(body, path="/invocations", **{**JPEG, **headers})
    assert found == status
    assert words in answer["error"]


def test_a_photo_that_its_header_refuses_costs_no_worker_any_time(one):
    one.server.label(photo())
    before = one.asked()
    assert one.server.invoke(b"hello")[0] == 422
    assert one.asked() == before


@pytest.mark.parametrize("name", ODD)
def test_an_odd_request_gets_a_sentence_and_never_an_exception_or_its_own_body(one, name):
    answer = sent(one, ODD[name])
    status = int(answer.split(b" ", 2)[1])
    assert 400 <= status < 500
    assert answer.split(b"\r\n\r\n", 1)[1].startswith(b'{"error"')
    assert b"photo\r" not in answer
    assert b"\xff\xd8" not in answer
    assert b"xception" not in answer


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/models?url=http://127.0.0.1:9/x.mar"),
        ("GET", "/models"),
        ("PUT", "/models/model?min_worker=3"),
        ("DELETE", "/models/model"),
        ("GET", "/api-description"),
        ("OPTIONS", "/predictions/model"),
        ("POST", "/predictions/model"),
        ("POST", "/model/predict"),
    ],
)
def test_mms_never_sees_what_the_contract_does_not_have(one, method, path):
    one.server.label(photo())
    before = one.asked()
    status, _, answer = one.server.ask(method, path, b"", JPEG)
    assert status == 404
    assert b'"error"' in answer
    assert one.asked() == before


def test_each_request_has_one_line_in_the_log_and_a_failed_one_its_reason(one):
    def line(inference_id: str) -> dict[str, Any] | None:
        """A request's line in the log. It is written once the answer is sent."""
        return next((one for one in log() if one.get("inference_id") == inference_id), None)

    log = one.log
    named = "X-Amzn-SageMaker-Inference-Id"
    (one.orders / "garble").touch()
    status, _, body = one.server.ask("POST", "/invocations", photo(), {**JPEG, named: "garbled"})
    (one.orders / "garble").unlink()
    words = "the server failed on this request; its log says why"
    assert (status, json.loads(body)["error"]) == (500, words)
    one.server.ask("POST", "/invocations", photo(), {**JPEG, named: "good"})
    wait_until(lambda: line("garbled") and line("good"))
    failed = line("garbled") or {}
    answered = line("good") or {}
    assert (failed["status"], answered["status"]) == (500, 200)
    assert answered["engine_ms"] > 0
    text = (one.orders / "log").read_text()
    assert "a request failed" in text
    assert "Work.unpacked" in text  # the worker's own traceback


@pytest.mark.parametrize("version, headers", [("1.0", b""), ("1.1", b"Connection: close\r\n")])
def test_a_connection_ends_when_the_client_says_so(one, version, headers):
    with connect(one.server) as connection:
        connection.sendall(
            f"GET /ping HTTP/{version}\r\nHost: localhost\r\n".encode() + headers + b"\r\n"
        )
        assert all_of(connection).startswith(b"HTTP/1.1 200")


def test_a_request_that_is_sent_in_half_is_closed(one):
    with connect(one.server) as connection:
        connection.sendall(head(1000) + b"half")
        assert all_of(connection).startswith(b"HTTP/1.1 408")


def test_an_answer_that_comes_too_late_is_refused_with_a_time_to_ask_again(one):
    (one.orders / "hold").touch()
    try:
        status, headers, answer = one.server.ask("POST", "/invocations", photo(), JPEG)
        assert (status, headers["retry-after"]) == (503, "10"), answer
    finally:
        (one.orders / "hold").unlink()
    wait_until(lambda: one.server.ask("POST", "/invocations", photo(), JPEG)[0] == 200)


def test_sigterm_answers_what_was_accepted_and_removes_all_files(colours, tmp_path):
    environment = {"SLIPWAY_PAGE": "1"}
    with (
        mms_serving(tmp_path, colours.model, **environment) as running,
        ThreadPoolExecutor(6) as pool,
    ):
        assert b"<html" in running.server.ask("GET", "/")[2]  # the page is there, too
        (tmp_path / "hold").touch()
        answers = [pool.submit(running.server.label, photo()) for _ in range(6)]
        wait_until(lambda: running.waiting() == 6)
        wait_until(lambda: len(running.asked()) == 1)  # the others wait in the server
        running.server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(running.server.port))
        (tmp_path / "hold").unlink()
        assert [answer.result() for answer in answers] == ["red"] * 6
        assert running.server.process.wait(timeout=30) == 0
    assert list((tmp_path / "tmp").glob("slipway-*")) == []


def test_batch_transform_answers_each_record(colours, tmp_path):
    lines = b"\n".join([instances(photo("red")), b"{", instances(b"x"), instances(photo("blue"))])
    with mms_serving(tmp_path, colours.model, SAGEMAKER_BATCH="true") as running:
        headers = {"Content-Type": "application/jsonlines", "Accept": "application/jsonlines"}
        status, _, answer = running.server.ask("POST", "/invocations", lines, headers)
        assert status == 200
        red, no_json, no_photo, blue = map(json.loads, answer.splitlines())
        assert (red["label"], blue["label"]) == ("red", "blue")
        assert "is not JSON" in no_json["error"]
        assert "the photo cannot be used" in no_photo["error"]
        # MultiRecord sends the same lines under their own type.
        headers = {"Content-Type": "application/json"}
        status, _, answer = running.server.ask("POST", "/invocations", lines, headers)
        assert status == 200
        found = [json.loads(line)["predictions"][0].get("label") for line in answer.splitlines()]
        assert found == ["red", None, None, "blue"]


def refused(port: int) -> bool:
    """Whether nobody listens at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


def test_the_death_of_mms_ends_the_server(colours, tmp_path):
    with mms_serving(tmp_path, colours.model) as running:
        (mms,) = running.server.workers()
        os.kill(mms, signal.SIGKILL)
        assert running.server.process.wait(timeout=30) == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    "spoil, code, words",
    [("model.json", 3, "holds no model.json"), ("model.onnx", 3, "is not a graph that OpenVINO")],
)
def test_what_cannot_be_served_ends_with_a_sentence(colours, tmp_path, spoil, code, words):
    done = ended(colours.model, tmp_path, spoil, free_port())
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_port_in_use_is_said_so(colours, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = ended(colours.model, tmp_path, "", other.getsockname()[1])
    assert done.returncode == 2
    taken = "is taken by another program; give another with SAGEMAKER_BIND_TO_PORT"
    assert taken in done.stderr


def ended(model: Path, folder: Path, spoil: str, port: int) -> subprocess.CompletedProcess[str]:
    """A server's whole run over a copy of a model, one file of which is spoilt."""
    copy = folder / "model"
    shutil.copytree(model, copy)
    if spoil == "model.json":
        (copy / spoil).unlink()
    elif spoil:
        (copy / spoil).write_bytes(b"none")
    environment = {
        **os.environ,
        "SLIPWAY_MODEL_DIR": str(copy),
        "SLIPWAY_PRECISION": "f32",
        "SLIPWAY_HOST": "127.0.0.1",
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    return subprocess.run(
        [sys.executable, "-m", "tests.support.mms_stand_in", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
