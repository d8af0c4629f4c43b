"""The server: its app by a test client, and itself, as a process on a free port."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from PIL import Image

from artifact.model import read_description
from conftest import COLOURS, REPOSITORY
from local_test.engines import Processes, ping
from serve.app import create_app
from serve.predictor import Predictor
from serve.settings import Settings, SettingsError


def photo(colour: str = "red", kind: str = "JPEG", mode: str = "RGB", size: tuple[int, int] = (50, 40)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, COLOURS[colour]).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def instances(*photos: bytes) -> bytes:
    return json.dumps({"instances": [{"b64": base64.b64encode(data).decode()} for data in photos]}).encode()


@pytest.fixture(scope="module")
def client(trained):
    return create_app(Predictor(trained.model), max_payload_mb=0.4).test_client()


def test_ping_is_200_and_empty(client):
    answer = client.get("/ping")
    assert answer.status_code == 200 and answer.data == b""


@pytest.mark.parametrize("content_type, kind", [
    ("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/webp", "WEBP"), ("application/x-image", "JPEG"), ("application/x-image", "PNG"),
    ("image/jpeg; charset=binary", "JPEG"), ("IMAGE/JPEG", "JPEG"),
])
@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_a_photo_is_answered_with_its_label(client, content_type, kind, colour):
    answer = client.post("/invocations", data=photo(colour, kind), content_type=content_type)
    assert answer.status_code == 200 and answer.content_type == "application/json"
    prediction, = answer.json["predictions"]
    assert prediction["label"] == colour == prediction["top"][0]["label"] and prediction["probability"] == prediction["top"][0]["probability"]
    probabilities = [entry["probability"] for entry in prediction["top"]]
    assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) == pytest.approx(1, abs=1e-4)
    assert {entry["label"] for entry in prediction["top"]} == set(COLOURS)


def test_many_instances_are_answered_in_their_order(client):
    answer = client.post("/invocations", data=instances(photo("red"), photo("blue", "PNG"), photo("green")), content_type="application/json")
    assert [prediction["label"] for prediction in answer.json["predictions"]] == ["red", "blue", "green"]


@pytest.mark.parametrize("mode, kind", [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "PNG"), ("LA", "PNG")])
def test_photos_of_every_mode_are_answered(client, mode, kind):
    assert client.post("/invocations", data=photo("red", kind, mode), content_type="application/x-image").status_code == 200


@pytest.mark.parametrize("content_type, body, status, words", [
    ("image/jpeg", b"", 400, "the body is empty"),
    ("image/jpeg", b"no photo", 422, "not a complete photo"),
    ("image/jpeg", photo()[:300], 422, "not a complete photo"),
    ("text/csv", b"1,2", 415, "Content-Type 'text/csv' is not taken; send one of image/jpeg"),
    ("", photo(), 415, "send one of"),
    ("application/json", b"", 400, "the body is empty"),
    ("application/json", b"{", 400, "not JSON"),
    ("application/json", b"[" * 9000, 400, "not JSON"),
    ("application/json", b"\xff\xfe", 400, "not JSON"),
    ("application/json", b"[1]", 400, "no list of instances"),
    ("application/json", b'{"instances": []}', 400, "no list of instances"),
    ("application/json", b'{"instances": [1]}', 400, "instance 0 has no text under 'b64'"),
    ("application/json", b'{"instances": [{"b64": 5}]}', 400, "instance 0 has no text"),
    ("application/json", b'{"instances": [{"b64": "%%%"}]}', 400, "instance 0 is not base64"),
    ("application/json", instances(photo(), b"x"), 422, "instance 1: it is not a complete photo"),
    ("application/json", json.dumps({"instances": [{}] * 1001}).encode(), 413, "1001 instances; send at most 1000"),
    ("image/png", photo(kind="PNG", size=(9000, 9000)), 422, "9000 x 9000 pixels"),
    ("image/jpeg", b"x" * 500_000, 413, "larger than 0.4 MB"),
])
def test_what_cannot_be_answered_is_one_sentence_and_a_4xx(client, content_type, body, status, words):
    answer = client.post("/invocations", data=body, content_type=content_type)
    assert answer.status_code == status and answer.content_type == "application/json"
    assert words in answer.json["error"] and "\n" not in answer.json["error"] and list(answer.json) == ["error"]


@pytest.mark.parametrize("method, path, status", [("get", "/", 404), ("post", "/ping", 405), ("get", "/invocations", 405), ("get", "/models", 404)])
def test_other_paths_and_methods_say_what_there_is(client, method, path, status):
    answer = getattr(client, method)(path)
    assert answer.status_code == status and "GET /ping or POST /invocations" in answer.json["error"]


def test_a_fault_of_the_server_is_a_500_without_a_traceback(caplog):
    class Broken:
        def predict(self, photos, top_k):
            raise RuntimeError("secret detail")

    answer = create_app(Broken()).test_client().post("/invocations", data=photo(), content_type="image/jpeg")
    assert answer.status_code == 500 and "secret" not in answer.text and "secret detail" in caplog.text


def test_the_app_loads_no_engine():
    """Neither torch nor OpenVINO nor boto3 come with the app: they load when an engine is opened."""
    code = "import serve.app, sys; print([name for name in ('torch', 'openvino', 'boto3') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("environment, expected", [
    ({}, {"port": 8080, "max_payload_mb": 6.0}),
    ({"SAGEMAKER_BIND_TO_PORT": "9000", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "20", "SLIPWAY_PRECISION": "bf16"}, {"port": 9000, "max_payload_mb": 20.0, "precision": "bf16"}),
])
def test_settings_come_from_the_environment(environment, expected):
    settings = Settings.read(environment)
    assert {name: getattr(settings, name) for name in expected} == expected


@pytest.mark.parametrize("name, value", [("SAGEMAKER_BIND_TO_PORT", "http"), ("SAGEMAKER_BIND_TO_PORT", "0"), ("SAGEMAKER_BIND_TO_PORT", "8080.5"),
                                         ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"), ("SLIPWAY_PRECISION", "f8")])
def test_settings_that_make_no_sense_are_told(name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.read({name: value})


@pytest.fixture(scope="module")
def url(trained):
    with Processes().serve(trained.model) as running:
        yield running


def ask(url: str, body: bytes, content_type: str = "image/jpeg") -> dict:
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_the_server_answers_many_callers_each_its_own_photo(url):
    wrong, callers = [], []
    for colour in [*sorted(COLOURS)] * 8:
        callers.append(threading.Thread(target=lambda colour=colour: [
            wrong.append(colour) for _ in range(5) if ask(url, photo(colour))["predictions"][0]["label"] != colour]))
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong and ping(url) == 200


def test_a_client_error_comes_through_the_server(url):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, b"no photo")
    with caught.value as answer:
        assert answer.code == 422 and "photo" in json.load(answer)["error"]


def test_a_body_that_is_too_large_is_answered_before_the_connection_ends(url):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, b"x" * 7_000_000)
    with caught.value as answer:
        assert answer.code == 413 and "larger than 6 MB" in json.load(answer)["error"]


def test_sigterm_answers_what_was_accepted_and_leaves(trained):
    environment = {**os.environ, "SLIPWAY_MODEL_DIR": str(trained.model), "SAGEMAKER_BIND_TO_PORT": "18085", "SLIPWAY_HOST": "127.0.0.1"}
    process = subprocess.Popen([sys.executable, "-m", "serve"], cwd=REPOSITORY, env=environment)
    while ping("http://127.0.0.1:18085") != 200:
        time.sleep(0.05)
    body = photo(size=(60, 60))
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", 18085)) as connection:
        connection.sendall(head + body[:100])  # accepted, its body still under way
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(body[100:])
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 200") and process.wait(timeout=25) == 0


@pytest.mark.parametrize("spoil, words", [
    (lambda folder: (folder / "model.json").unlink(), "holds no model.json"),
    (lambda folder: (folder / "model.onnx").write_bytes(b"x"), "is not a graph that OpenVINO reads"),
    (lambda folder: (folder / "model.json").write_text((folder / "model.json").read_text().replace('"red"', '"red", "white"')), "classes 3; model.json says 4"),
])
def test_a_model_that_cannot_be_used_ends_the_server_with_one_sentence(trained, tmp_path, spoil, words):
    for path in trained.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoil(tmp_path)
    environment = {**os.environ, "SLIPWAY_MODEL_DIR": str(tmp_path), "SAGEMAKER_BIND_TO_PORT": "18086"}
    done = subprocess.run([sys.executable, "-m", "serve"], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and words in done.stderr and "Traceback" not in done.stderr


def test_a_read_only_model_folder_with_foreign_files_serves(trained, tmp_path):
    for path in trained.model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "code").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert read_description(tmp_path).classes == ("blue", "green", "red")
    with Processes().serve(tmp_path) as running:
        assert ask(running, photo("blue"))["predictions"][0]["label"] == "blue"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
