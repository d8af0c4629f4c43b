"""MMS's configuration, its process, and a worker's room and refusals; no Java and no container."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from artifact.preprocessing import PhotoError
from serve.batching import EngineDead
from serve.inputs import InputError
from serve.mms import __main__ as starting
from serve.mms import transformer
from serve.mms.configuration import command, heap_mib, properties
from serve.mms.transformer import check_room, refusal
from serve.request_state import Overloaded, TooManyPhotos
from serve.settings import ServingSettings

MIB = 1024 * 1024
FOLDER = Path("/tmp/mms-x")


@pytest.mark.parametrize(
    "memory_mib, heap",
    [
        (0, 96),
        (576, 96),
        (581, 96),
        (582, 97),
        (600, 100),
        (6143, 1023),
        (6144, 1024),
        (9999, 1024),
    ],
)
def test_javas_heap_is_a_sixth_of_the_memory(memory_mib, heap):
    assert heap_mib(memory_mib * MIB) == heap


def values_of(settings: ServingSettings, memory_mib: int = 6144) -> dict[str, str]:
    text = properties(settings, FOLDER, memory_mib * MIB)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_properties_of_a_single_model():
    assert values_of(ServingSettings(model=Path("/m"), workers=3)) == {
        "inference_address": "http://0.0.0.0:8080",
        "management_address": "unix:/tmp/mms-x/management",
        "model_store": "/",
        "default_service_handler": "serve.mms.handler",
        "default_workers_per_model": "3",
        "default_response_timeout_seconds": "60",
        "unregister_model_timeout": "20",
        "max_request_size": str(6 * MIB),
        "max_response_size": str(8 * MIB),
        "job_queue_size": "85",
        "decode_input_request": "false",
        "number_of_gpu": "0",
        "load_models": "model=/m",
    }


def test_several_models_are_managed_by_the_same_port():
    values = values_of(ServingSettings(multi_model=True, port=9000))
    assert values["management_address"] == "http://0.0.0.0:9000"
    assert "load_models" not in values


@pytest.mark.parametrize(
    "payload_mb, memory_mib, queue",
    [(6, 6144, 85), (5.12, 6144, 100), (1, 6144, 100), (200, 6144, 4), (10, 576, 4), (9, 576, 5)],
)
def test_bodies_that_wait_fit_into_half_of_the_heap(payload_mb, memory_mib, queue):
    values = values_of(ServingSettings(max_payload_mb=payload_mb), memory_mib)
    assert values["job_queue_size"] == str(queue)


@pytest.mark.parametrize(
    "timeout_s, seconds", [(1.0, "1"), (1.4, "1"), (1.6, "2"), (0.2, "1"), (90, "90")]
)
def test_times_are_whole_seconds(timeout_s, seconds):
    values = values_of(ServingSettings(timeout_s=timeout_s))
    assert values["default_response_timeout_seconds"] == seconds


@pytest.mark.parametrize("payload_mb, response", [(7, 8 * MIB), (8, 8 * MIB), (9, 9 * MIB)])
def test_an_answer_may_be_as_large_as_a_request(payload_mb, response):
    values = values_of(ServingSettings(max_payload_mb=payload_mb))
    assert values["max_response_size"] == str(response)


def test_the_java_command():
    settings = ServingSettings(max_payload_mb=0.5, multi_model=True)
    found = command(settings, FOLDER, 600 * MIB, "-Xmx7m -Da=b")
    assert found[0] == "/opt/mms/java/bin/java"
    assert found[1:3] == ["-Xmx100m", "-XX:MaxDirectMemorySize=100m"]
    assert f"-Dslipway.max_payload={MIB // 2}" in found
    assert f"-Dslipway.max_bodies={100 * MIB // 3}" in found
    assert "-Dslipway.multi_model=true" in found
    assert "-Dslipway.multi_model=false" in command(ServingSettings(), FOLDER, 0)
    assert f"-Djava.io.tmpdir={FOLDER}" in found
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = Path(sys.prefix) / "lib" / version / "site-packages"
    assert f"-Dmodel_server_home={packages}" in found
    # the user's come last of the options, so that they win
    assert found[found.index("-cp") - 2 : found.index("-cp")] == ["-Xmx7m", "-Da=b"]
    jars = f"/opt/mms/slipway.jar:{packages}/mms/frontend/model-server.jar"
    assert found[found.index("-cp") + 1] == jars
    assert found[-4:] == ["--python", "/opt/mms/python", "-f", f"{FOLDER}/mms.properties"]


@pytest.mark.parametrize(
    "room, fits", [(69_608_864 + 100 * MIB, True), (69_608_863 + 100 * MIB, False)]
)
def test_a_model_needs_room_beside_its_worker(tmp_path, monkeypatch, room, fits):
    (tmp_path / "model.onnx").write_bytes(bytes(1_000_000))
    monkeypatch.setattr(transformer, "memory_left", lambda: room)
    if fits:
        check_room(tmp_path)
        return
    with pytest.raises(MemoryError) as caught:
        check_room(tmp_path)
    assert str(caught.value) == "the model needs about 174 MB and 174 MB are left"


@pytest.mark.parametrize(
    "error, status, sentence",
    [
        (InputError(415, "not taken"), 415, "not taken"),
        (PhotoError("it is empty"), 422, "the photo cannot be used: it is empty"),
        (TooManyPhotos("fewer"), 413, "fewer"),
        (Overloaded(2), 503, "the server is busy; ask again in 2 s"),
        (EngineDead("it died"), 503, "it died"),
        (KeyError("x"), 500, "the server failed on this request; its log says why"),
    ],
)
def test_errors_become_statuses(error, status, sentence):
    assert refusal(error) == (status, sentence)


@pytest.mark.parametrize("status, code", [(0, 0), (3 << 8, 3), (9, 137), (15, 143)])
def test_orphans_are_reaped_until_the_server_ends(monkeypatch, status, code):
    ends = iter([(5, 1 << 8), (6, 0), (7, status)])
    monkeypatch.setattr(os, "wait", lambda: next(ends))
    assert starting.wait(7) == code
    assert list(ends) == []


class Process:
    """A process that is never started."""

    pid = 4242
    returncode: int | None = None


@pytest.mark.parametrize(
    "signals, ended, code, words",
    [
        ([], 0, 1, "serve: MMS left with code 0\n"),
        ([], 3, 3, "serve: MMS left with code 3\n"),
        ([signal.SIGTERM], 143, 0, ""),
        ([signal.SIGINT], 143, 0, ""),
        ([signal.SIGTERM], 1, 1, "serve: MMS left with code 1\n"),
        ([], 143, 143, "serve: MMS left with code 143\n"),
    ],
)
def test_signals_are_passed_on(monkeypatch, capsys, signals, ended, code, words):
    handlers: dict[int, Any] = {}
    killed: list[tuple[int, int]] = []
    process = Process()

    def wait(pid: int) -> int:
        for number in signals:
            handlers[number]()
        return ended

    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(subprocess, "Popen", lambda arguments: process)
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    monkeypatch.setattr(starting, "wait", wait)
    assert starting.serve(["java"]) == code
    assert killed == [(4242, signal.SIGTERM)] * len(signals)
    assert capsys.readouterr().err == words
    handlers[signal.SIGTERM]()  # the process is gone: its id may be another's by now
    assert len(killed) == len(signals)


def test_a_signal_before_the_process_is_passed_on_too(monkeypatch):
    handlers: dict[int, Any] = {}
    killed: list[int] = []

    def start(arguments: list[str]) -> Process:
        handlers[signal.SIGTERM]()
        return Process()

    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(pid))
    monkeypatch.setattr(starting, "wait", lambda pid: 143)
    assert starting.serve(["java"]) == 0
    assert killed == [4242]


@pytest.mark.parametrize(
    "environment, code, words",
    [
        ({"SAGEMAKER_BIND_TO_PORT": "0"}, 2, "serve: SAGEMAKER_BIND_TO_PORT must be"),
        ({"SLIPWAY_MODEL_DIR": "/none"}, 3, "serve: failed: '/none' holds no model.json"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(monkeypatch, capsys, environment, code, words):
    read = ServingSettings.read.__func__  # type: ignore[attr-defined]  # of the class method
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: read(cls, environment)))
    assert starting.main() == code
    assert capsys.readouterr().err.startswith(words)


@pytest.mark.parametrize("vmargs", ["", "-Xss1m"])
def test_the_servers_folder_is_removed_after_it(colours, tmp_path, monkeypatch, vmargs):
    commands: list[list[str]] = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("SLIPWAY_MODEL_DIR", str(colours.model))
    monkeypatch.setenv("SAGEMAKER_MODEL_SERVER_VMARGS", vmargs)
    monkeypatch.setenv("TMPDIR", "before")

    def serve(arguments: list[str]) -> int:
        commands.append(arguments)
        file = Path(arguments[-1])
        assert "inference_address" in file.read_text()
        assert os.environ["TMPDIR"] == str(file.parent)
        return 5

    monkeypatch.setattr(starting, "serve", serve)
    assert starting.main() == 5
    assert ("-Xss1m" in commands[0]) is bool(vmargs)
    assert not any(tmp_path.iterdir())


def test_without_a_folder_to_write_to_it_says_what_to_give(colours, monkeypatch, capsys):
    def failing(prefix: str) -> str:
        raise OSError("Read-only file system")

    monkeypatch.setenv("SLIPWAY_MODEL_DIR", str(colours.model))
    monkeypatch.setattr("tempfile.mkdtemp", failing)
    assert starting.main() == 2
    assert "with --read-only give --tmpfs /tmp" in capsys.readouterr().err
