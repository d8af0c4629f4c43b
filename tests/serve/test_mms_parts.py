"""The parts of slipway-serve-mms: configuration, exchange, room, process; no Java, no container."""

import os
import sys
import threading
from pathlib import Path

import pytest

from artifact.model import ArtifactError
from artifact.photos.kinds import PhotoError
from serve.admission import DecodingTime
from serve.batching import EngineDead
from serve.mms import __main__ as starting
from serve.mms import process
from serve.mms.backend import Mms
from serve.mms.configuration import body_bytes, check_folder, command, heap_mib, properties
from serve.mms.exchange import (
    Done,
    Work,
    WorkerError,
    artifact_of,
    failure_in,
    hand_over,
    no_memory,
    packed_answer,
    unpacked_answer,
    write_failure,
)
from serve.mms.remote import remove_old_pipes
from serve.mms.remote_queue import RemoteQueue, RequestCost, WorkerSlots
from serve.mms.room import Room
from serve.request_state import ClientGone, Overloaded, RequestState, TooManyPhotos
from serve.settings import ServingSettings, SettingsError
from tests.support.mms_servers import wait_until

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
        (9999, 1024),
    ],
)
def test_javas_heap_is_a_sixth_of_the_memory(memory_mib, heap):
    assert heap_mib(memory_mib * MIB) == heap


def values_of(settings: ServingSettings, own: Path | None = None) -> dict[str, str]:
    text = properties(settings, FOLDER, own)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_properties_of_a_single_model():
    assert values_of(ServingSettings(workers=3), FOLDER / "model") == {
        "inference_address": "unix:/tmp/mms-x/inference",
        "management_address": "unix:/tmp/mms-x/management",
        "model_store": "/",
        "default_service_handler": "serve.mms.handler",
        "default_workers_per_model": "3",
        "default_response_timeout_seconds": "60",
        "unregister_model_timeout": "20",
        "max_request_size": str(7 * MIB),
        "max_response_size": str(64 * MIB),
        "decode_input_request": "false",
        "number_of_gpu": "0",
        "load_models": "model=/tmp/mms-x/model",
    }


def test_many_models_are_managed_by_a_unix_socket_too():
    values = values_of(ServingSettings(multi_model=True, port=9000))
    assert values["management_address"] == "unix:/tmp/mms-x/management"
    assert "load_models" not in values


@pytest.mark.parametrize(
    "timeout_s, seconds", [(1.0, "1"), (1.4, "1"), (1.6, "2"), (0.2, "1"), (90, "90")]
)
def test_times_are_whole_seconds(timeout_s, seconds):
    values = values_of(ServingSettings(timeout_s=timeout_s))
    assert values["default_response_timeout_seconds"] == seconds


@pytest.mark.parametrize("memory_mib, bodies", [(0, 96), (600, 100), (9999, 1024)])
def test_bodies_within_mms_take_a_third_of_the_heap(memory_mib, bodies):
    assert body_bytes(memory_mib * MIB) == bodies * MIB // 3


def test_a_folder_too_long_for_sockets_is_named():
    """The kernel refuses the path, and MMS would never answer."""
    longest = Path("/" + "x" * (107 - len("/" + "/.mms.sock.00000")))
    check_folder(longest)
    with pytest.raises(SettingsError, match="set TMPDIR to one with 1 bytes less"):
        check_folder(Path(f"{longest}x"))


def test_the_java_command():
    settings = ServingSettings(max_payload_mb=0.5, multi_model=True)
    found = command(settings, FOLDER, 600 * MIB, "-Xmx7m -Da=b")
    assert found[0] == "/opt/mms/java/bin/java"
    assert found[1:3] == ["-Xmx100m", "-XX:MaxDirectMemorySize=100m"]
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


def test_a_request_reaches_the_worker_as_it_was():
    work = Work([b"a photo", b"", b"\n\x00"], 3, 1.5, True, ["line 1: ", "line 2: ", ""])
    assert Work.unpacked(work.packed()) == work
    assert work.size == 9


def test_predictions_come_back_as_they_were():
    done = Done([{"label": "a", "probability": 0.5}], {"decode": 0.25}, 0.5)
    assert unpacked_answer(packed_answer(done)) == done


@pytest.mark.parametrize(
    "error",
    [
        PhotoError("it is empty"),
        TooManyPhotos("fewer"),
        ClientGone("gone"),
        EngineDead("it died"),
        ArtifactError("no graph"),
        MemoryError("7 MB are left"),
        Overloaded(4),
    ],
)
def test_errors_come_back_as_they_were(error):
    with pytest.raises(type(error)) as caught:
        unpacked_answer(packed_answer(error))
    assert str(caught.value) == str(error)
    assert type(caught.value) is type(error)


def test_an_unknown_error_comes_back_with_its_traceback():
    try:
        raise KeyError("x")
    except KeyError as error:
        answer = packed_answer(error)
    with pytest.raises(WorkerError, match="Traceback") as caught:
        unpacked_answer(answer)
    assert "KeyError: 'x'" in str(caught.value)


def test_a_lack_of_memory_is_507():
    assert no_memory(MemoryError()).status == 507
    assert "8 MB" in str(no_memory(MemoryError("8 MB")))


def test_an_artifact_is_found_by_its_folder_and_a_failure_too(tmp_path):
    artifact = tmp_path / os.fsdecode(b"not \xff text")
    own = tmp_path / "own"
    hand_over(own, artifact)
    assert artifact_of(own) == artifact
    assert failure_in(own) is None
    write_failure(own, ArtifactError("no graph"))
    assert str(failure_in(own)) == "no graph"
    (own / "failure").write_text("cut of")
    assert isinstance(failure_in(own), ValueError)


def test_only_so_much_is_let_in_and_in_order():
    room = Room(3)
    entered: list[str] = []
    leave = {name: threading.Event() for name in ("first", "large", "small")}

    def hold(name: str, amount: int) -> None:
        with room.holding(amount, RequestState.lasting(60)):
            entered.append(name)
            leave[name].wait(60)

    threads = []
    for name, amount in {"first": 2, "large": 9, "small": 1}.items():
        threads.append(threading.Thread(target=hold, args=(name, amount)))
        threads[-1].start()
        wait_until(lambda: len(entered) + len(room._queue) == len(threads))
    assert entered == ["first"]  # the small one does not pass the large one
    leave["first"].set()
    wait_until(lambda: entered == ["first", "large"])  # alone, though it is larger than the room
    leave["large"].set()
    wait_until(lambda: entered == ["first", "large", "small"])
    leave["small"].set()
    for thread in threads:
        thread.join()
    assert room._held == 0


def test_who_waits_too_long_or_has_gone_leaves_its_place():
    room = Room(1)
    gone = RequestState.lasting(60)
    gone.abandoned.set()
    with (
        room.holding(1, RequestState.lasting(60)),
        pytest.raises(Overloaded),
        room.holding(1, RequestState.lasting(0)),
    ):
        raise AssertionError
    with pytest.raises(ClientGone), room.holding(1, gone):
        raise AssertionError
    assert (room._held, len(room._queue)) == (0, 0)


def test_a_queue_learns_by_its_workers_and_refuses_by_lateness():
    queue = RemoteQueue(Mms(FOLDER), workers=2)
    queue.learn(1, RequestCost(1.0), Done([], {"decode": 2.0}, 6.0))
    assert queue._photo_s == 2.0
    assert queue.slots.expected([RequestCost(0.5)]) == DecodingTime(0.0, 1.0)
    queue.admit(1, RequestState.lasting(60))
    with pytest.raises(Overloaded):
        queue.admit(1, RequestState.lasting(3))
    assert queue.waiting == 1


def test_the_cheapest_request_comes_first():
    slots = WorkerSlots(1)
    begun: list[float] = []

    def hold(seconds: float) -> None:
        with slots.slot(RequestCost(seconds), RequestState.lasting(60), learns=False):
            begun.append(seconds)

    threads = []
    with slots.slot(RequestCost(0.1), RequestState.lasting(60), learns=False):
        for seconds in (9.0, 0.001, 2.0):
            threads.append(threading.Thread(target=hold, args=(seconds,)))
            threads[-1].start()
        wait_until(lambda: len(slots._small.waiting) == 3)
    for thread in threads:
        thread.join()
    assert begun == [0.001, 2.0, 9.0]


def test_mms_that_does_not_answer_is_said_so(tmp_path):
    mms = Mms(tmp_path)
    assert mms.fault() == "multi-model-server does not answer (ProtocolError)"
    with pytest.raises(EngineDead):
        mms.has("model")


def test_names_of_pipes_go_once_they_are_open(tmp_path):
    old, new = tmp_path / "a-stdout", tmp_path / "b-stderr"
    os.mkfifo(old)
    remove_old_pipes(tmp_path)
    assert old.exists()
    (tmp_path / "c-stdout").touch()  # no pipe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("serve.mms.remote.PIPE_S", -1.0)
        remove_old_pipes(tmp_path)
    os.mkfifo(new)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b-stderr", "c-stdout"]


@pytest.mark.parametrize("status, code", [(0, 0), (3 << 8, 3), (9, 137), (15, 143)])
def test_orphans_are_reaped_until_the_server_ends(monkeypatch, status, code):
    ends = iter([(5, 1 << 8), (6, 0), (7, status)])
    monkeypatch.setattr(os, "wait", lambda: next(ends))
    assert process.wait(7) == code
    assert list(ends) == []


@pytest.mark.parametrize(
    "environment, code, words",
    [
        ({"SAGEMAKER_BIND_TO_PORT": "0"}, 2, "serve: SAGEMAKER_BIND_TO_PORT must be"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(monkeypatch, capsys, environment, code, words):
    read = ServingSettings.read.__func__  # type: ignore[attr-defined]  # of the class method
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: read(cls, environment)))
    assert starting.main() == code
    assert capsys.readouterr().err.startswith(words)


def test_without_a_folder_to_write_to_it_says_what_to_give(colours, monkeypatch, capsys):
    def failing(**_: object) -> str:
        raise OSError("Read-only file system")

    monkeypatch.setenv("SLIPWAY_MODEL_DIR", str(colours.model))
    monkeypatch.setattr("tempfile.mkdtemp", failing)
    assert starting.main() == 2
    assert "with --read-only give --tmpfs /tmp" in capsys.readouterr().err
