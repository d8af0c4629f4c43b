"""The server's own settings: stopping, gunicorn, temporary folders, and how it starts."""

import asyncio
import atexit
import os
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from artifact.model import ArtifactError
from serve import __main__ as starting
from serve import factory, gunicorn_worker, server, temporary, worker
from serve.server import Server
from serve.settings import ServingSettings


@pytest.mark.parametrize("graceful_s, app_s", [(24, 21.0), (10, 7.0), (None, 0.0)])
def test_a_stopping_server_lingers_twice(monkeypatch, graceful_s, app_s):
    slept: list[float] = []
    stopped: list[float] = []
    ended: list[object] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def shutdown(self: object, sockets: object = None) -> None:
        ended.append(sockets)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    app = SimpleNamespace(stop=stopped.append)
    config: Any = SimpleNamespace(app=app, timeout_graceful_shutdown=graceful_s)
    stopping: Any = object.__new__(worker.Server)
    stopping.config = config
    listening = SimpleNamespace(close=lambda: ended.append("closed"))
    stopping.servers = [listening]
    asyncio.run(stopping.shutdown())
    assert stopped == [app_s]
    assert slept == [0.2, 0.2]
    assert ended == ["closed", None]


def test_gunicorn_is_set_by_our_settings_alone(monkeypatch):
    monkeypatch.setattr(server, "_memory_folder", lambda: "/somewhere")
    settings = ServingSettings(host="::1", port=81, workers=3, stop_timeout_s=9)
    found = Server(settings).cfg
    assert found.bind == ["::1:81"]
    assert found.workers == 3
    assert found.graceful_timeout == 9
    assert found.timeout == 0  # no heartbeat
    assert found.keepalive == 75  # SageMaker's client keeps idle connections up to 70 s
    assert found.backlog == 1024
    assert found.worker_tmp_dir == "/somewhere"
    assert found.control_socket_disable is True
    assert found.loglevel == "warning"
    assert found.worker_class is gunicorn_worker.Worker


@pytest.mark.parametrize("writable", [True, False])
def test_the_heartbeat_lies_in_memory_where_it_can(monkeypatch, writable):
    monkeypatch.setattr(os, "access", lambda path, mode: writable and mode == os.W_OK)
    expected = "/dev/shm" if writable else tempfile.gettempdir()
    assert server._memory_folder() == expected


def test_a_model_that_cannot_be_used_ends_its_worker(monkeypatch, capsys):
    left: list[int] = []

    def unusable(settings: ServingSettings) -> None:
        raise ArtifactError("no graph")

    monkeypatch.setattr(factory, "make_app", unusable)
    monkeypatch.setattr(os, "_exit", left.append)
    Server(ServingSettings()).load()
    assert left == [3]
    assert capsys.readouterr().err == "serve: failed: no graph\n"


def test_a_dead_engines_worker_leaves_after_ten_seconds(monkeypatch):
    done: list[float] = []
    monkeypatch.setattr(time, "sleep", done.append)
    monkeypatch.setattr(os, "_exit", done.append)
    factory._leave()
    assert done == [10.0, 1]


@pytest.mark.parametrize("owner", [True, False])
def test_only_its_owner_removes_the_folder(tmp_path, owner):
    folder = tmp_path / "folder"
    folder.mkdir()
    temporary._remove(folder, os.getpid() if owner else os.getpid() + 1)
    assert folder.exists() is not owner


def test_temporary_files_lie_in_a_folder_of_their_own(tmp_path, monkeypatch):
    registered: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(atexit, "register", lambda *call: registered.append(call))
    temporary.keep_in_one_folder()
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("slipway-")
    assert tempfile.gettempdir() == str(folder)
    assert registered == [(temporary._remove, folder, os.getpid())]


def test_a_server_removes_what_a_killed_one_left(tmp_path):
    code = "from serve.temporary import keep_in_one_folder as keep; import os; keep(); "
    kill = "os.kill(os.getpid(), 9)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    (tmp_path / "slipway-mine").mkdir()
    left = []
    for end in (kill, kill, "pass"):
        subprocess.run([sys.executable, "-c", code + end], env=environment, check=False)
        left.append(len(list(tmp_path.iterdir())))
    assert left == [2, 2, 1]


def test_where_nothing_can_be_written_nothing_changes(monkeypatch):
    def failing(**_: object) -> str:
        raise OSError("Read-only file system")

    before = tempfile.tempdir
    monkeypatch.setattr(tempfile, "mkdtemp", failing)
    temporary.keep_in_one_folder()
    assert tempfile.tempdir == before


@pytest.mark.parametrize(
    "environment, workers, code",
    [
        ({}, 1, 0),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, 2, 0),
        ({"SAGEMAKER_MULTI_MODEL": "1", "SLIPWAY_MODEL_DIR": "/none"}, 1, 0),
        ({"SLIPWAY_MODEL_DIR": "/none"}, None, 3),
        ({"SLIPWAY_THREADS": "0"}, None, 2),
    ],
)
def test_the_servers_start(colours, monkeypatch, capsys, environment, workers, code):
    variables = {"SLIPWAY_MODEL_DIR": str(colours.model), **environment}
    read = ServingSettings.read.__func__  # type: ignore[attr-defined]  # of the class method
    started: list[ServingSettings] = []
    shared: list[bool] = []
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: read(cls, variables)))
    monkeypatch.setattr(starting, "keep_in_one_folder", lambda: None)
    monkeypatch.setattr(starting, "share_between_workers", lambda: shared.append(True))
    monkeypatch.setattr(
        starting,
        "Server",
        lambda settings: SimpleNamespace(run=lambda: started.append(settings)),
    )
    assert starting.main() == code
    assert [settings.workers for settings in started] == ([] if workers is None else [workers])
    assert shared == ([True] if workers == 2 else [])
    assert bool(capsys.readouterr().err) is (code != 0)
