"""The server itself, as a process on a free port: many callers, slow callers, overload, signals, dying workers."""

import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time

import pytest

from artifact.model import ArtifactError, read_description
from artifact.unpack import artifact_folder
from runtime.load import Request, load
from runtime.ports import free_port
from runtime.probes import ping
from tests.support.jobs import COLOURS, REPOSITORY
from tests.support.servers import instances, photo, serving


@pytest.fixture(scope="module")
def server(colours):
    with serving(colours.model) as running:
        yield running


def head(length: int, content_type: str = "image/jpeg") -> bytes:
    return f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n".encode()


def connect(server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def test_the_server_answers_many_callers_each_its_own_photo(server):
    wrong = []
    callers = [
        threading.Thread(
            target=lambda colour=colour: [
                wrong.append(colour) for _ in range(5) if server.label(photo(colour)) != colour
            ]
        )
        for colour in [*sorted(COLOURS)] * 8
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_client_error_comes_through_the_server(server):
    status, answer = server.invoke(b"no photo")
    assert status == 422 and "photo" in answer["error"]


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_answered_before_the_connection_ends(server, declared):
    body = b"x" * 7_000_000
    status, headers, answer = server.ask(
        "POST", "/invocations", body if declared else iter([body]), {"Content-Type": "image/jpeg"}
    )
    assert (
        status == 413
        and "larger than 6 MB" in json.loads(answer)["error"]
        and headers["connection"] == "close"
    )


def test_a_client_that_asks_first_is_refused_before_it_sends(server):
    with connect(server) as connection:
        connection.sendall(
            head(7_000_000).replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        )
        assert all_of(connection).startswith(b"HTTP/1.1 413")


def test_requests_that_are_no_http_get_a_sentence(server):
    with connect(server) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        answer = all_of(connection)
    assert answer.startswith(b"HTTP/1.1 400") and json.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "error": "the request is not valid HTTP/1.1"
    }


def test_a_body_longer_than_declared_or_never_finished_harms_nobody(server):
    body = photo("blue")
    with connect(server) as longer, connect(server) as shorter:
        longer.sendall(head(len(body)) + body + b"and more\r\n\r\n")
        answers = all_of(longer)
        assert answers.startswith(b"HTTP/1.1 200") and answers.count(b"HTTP/1.1 400") == 1
        shorter.sendall(head(len(body) + 1000) + body)
    assert server.label(body) == "blue"


def test_slow_clients_hold_up_nobody(server):
    """More of them than any pool has threads, each with half a body sent."""
    body = photo("green")
    slow = [connect(server) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(head(len(body)) + body[:50])
        assert server.label(photo("red")) == "red" and server.ask("GET", "/ping")[0] == 200
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
    assert (
        numbers["slipway_photos_total"] == "3.0"
        and numbers["slipway_models_loaded"] == "1.0"
        and numbers["slipway_queue_photos"] == "0.0"
    )
    assert (
        0 < float(numbers['slipway_stage_seconds_sum{stage="total"}']) < 60
        and float(numbers["process_resident_memory_bytes"]) > 1e7
    )
    assert "/invocations" in description["paths"]
    lines = [
        json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")
    ]
    assert [(line["status"], line["photos"], line["inference_id"]) for line in lines] == [
        (200, 1, "trace-7"),
        (200, 2, None),
        (422, 1, None),
    ]
    assert (
        "not a complete photo" in lines[2]["error"]
        and lines[0]["engine_ms"] > 0
        and lines[0]["bytes"] == len(photo("red"))
    )


def test_several_workers_add_their_numbers_up(colours):
    with serving(colours.model, SAGEMAKER_MODEL_SERVER_WORKERS=2) as server:
        assert len(server.workers()) == 2
        for _ in range(10):
            assert server.label(photo("red")) == "red"
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


def test_too_many_requests_get_a_503_that_says_when_to_come_again(colours):
    with serving(colours.model, SLIPWAY_MAX_REQUESTS=1) as server:
        many = instances(*[photo("red", size=(900, 900))] * 300)
        long = threading.Thread(target=server.invoke, args=(many, "application/json"))
        long.start()
        while b"slipway_queue_photos 0.0" in server.ask("GET", "/metrics")[2]:
            time.sleep(0.01)
        answers = []
        while long.is_alive():
            answers.append(
                server.ask("POST", "/invocations", photo(), {"Content-Type": "image/jpeg"})
            )
            assert server.ask("GET", "/ping")[0] == 200
        refused = [
            (headers, json.loads(body)) for status, headers, body in answers if status == 503
        ]
        assert (
            refused and int(refused[0][0]["retry-after"]) >= 1 and "busy" in refused[0][1]["error"]
        )
        assert (
            b'slipway_rejections_total{reason="overload"} 0.0'
            not in server.ask("GET", "/metrics")[2]
        )


def test_at_sigterm_what_takes_too_long_gets_a_sentence_and_the_server_leaves_in_time(colours):
    with serving(
        colours.model, SAGEMAKER_MODEL_SERVER_TIMEOUT=600, SAGEMAKER_MAX_PAYLOAD_IN_MB=100
    ) as server:
        answers = []
        many = instances(*[photo("red", "PNG", size=(3000, 3000))] * 1000)  # minutes of decoding
        asking = threading.Thread(
            target=lambda: answers.append(
                server.ask("POST", "/invocations", many, {"Content-Type": "application/json"}, 120)
            )
        )
        asking.start()
        time.sleep(2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=25) == 0
        asking.join()
        status, headers, body = answers[0]
        assert (
            status == 503
            and int(headers["retry-after"]) >= 1
            and "ask again" in json.loads(body)["error"]
        )


def test_a_client_that_ends_its_side_still_gets_its_answer(server):
    body = photo("blue")
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body)
        connection.shutdown(socket.SHUT_WR)
        assert all_of(connection).startswith(b"HTTP/1.1 200")


def test_one_byte_chunks_do_not_hold_up_ping(server):
    chunked = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with connect(server) as connection:
        connection.sendall(chunked + b"1\r\nx\r\n" * 150_000)
        assert ping(f"http://127.0.0.1:{server.port}", timeout_s=2) == 200


def test_a_killed_worker_is_replaced(colours):
    with serving(colours.model) as server:
        (before,) = server.workers()
        os.kill(before, signal.SIGKILL)
        while ping(f"http://127.0.0.1:{server.port}") != 200:
            time.sleep(0.02)
        (after,) = server.workers()
        assert after != before and server.label(photo("blue")) == "blue"


def test_sigterm_answers_what_was_accepted_and_leaves(colours):
    with serving(colours.model) as server:
        body = photo(size=(60, 60))
        with connect(server) as connection, connect(server) as idle:
            connection.sendall(head(len(body)) + body[:100])  # accepted, its body still under way
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[100:])
            assert all_of(connection).startswith(b"HTTP/1.1 200") and idle.recv(10) == b""
        assert server.process.wait(timeout=25) == 0


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda folder: (folder / "model.json").unlink(), "holds no model.json"),
        (
            lambda folder: (folder / "model.onnx").write_bytes(b"x"),
            "is not a graph that OpenVINO reads",
        ),
        (
            lambda folder: (folder / "model.json").write_text(
                (folder / "model.json").read_text().replace('"red"', '"red", "white"')
            ),
            "classes 3; model.json says 4",
        ),
        (
            lambda folder: [
                (folder / "model.tar.gz").write_bytes(b"x"),
                (folder / "model.json").unlink(),
            ],
            "cannot be unpacked",
        ),
    ],
)
def test_a_model_that_cannot_be_used_ends_the_server_with_one_sentence(
    colours, tmp_path, spoil, words
):
    for path in colours.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoil(tmp_path)
    environment = {
        **os.environ,
        "SLIPWAY_MODEL_DIR": str(tmp_path),
        "SAGEMAKER_BIND_TO_PORT": str(free_port()),
        "SLIPWAY_PRECISION": "f32",
    }
    done = subprocess.run(
        [sys.executable, "-m", "serve"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3 and words in done.stderr and "Traceback" not in done.stderr


def test_a_read_only_model_folder_with_foreign_files_serves(colours, tmp_path):
    for path in colours.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "code").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert read_description(tmp_path).classes == ("blue", "green", "red")
    with serving(tmp_path) as running:
        assert running.label(photo("blue")) == "blue"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_model_that_is_still_an_archive_serves(colours, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = tmp_path / "model"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        for path in colours.model.iterdir():
            archive.add(path, path.name)
    for model in (folder, folder / "model.tar.gz"):
        with serving(model) as running:
            assert running.label(photo("green")) == "green"
    assert not list(tmp_path.glob("slipway-*")) and [path.name for path in folder.iterdir()] == [
        "model.tar.gz"
    ]


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped-absolute"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path, name):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(__file__, "held")
        member = archive.gettarinfo(__file__)
        member.name = name
        with open(__file__, "rb") as source:
            archive.addfile(member, source)
    with pytest.raises(ArtifactError, match="would lie outside the folder"):
        artifact_folder(tmp_path)
    assert not (tmp_path / "escaped").exists()


def test_sigterm_under_load_costs_nobody_his_answer_who_had_connected(colours):
    asked, answers = Request("photo", photo(size=(60, 60)), "image/jpeg"), []
    with serving(colours.model) as server:
        ended = threading.Event()
        stopping = threading.Thread(
            target=lambda: (
                time.sleep(0.7),
                server.process.send_signal(signal.SIGTERM),
                server.process.wait(timeout=25),
                ended.set(),
            )
        )
        stopping.start()
        load(
            f"http://127.0.0.1:{server.port}",
            lambda: None if ended.is_set() else asked,
            16,
            answers.append,
        )
        stopping.join()
        assert server.process.returncode == 0
    lost = [
        answer.error
        for answer in answers
        if answer.status != 200 and not answer.error.startswith("ConnectionRefusedError")
    ]
    assert not lost and sum(answer.status == 200 for answer in answers) > 16
