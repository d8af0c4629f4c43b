"""Workers: how many, on which GPUs, with how many threads, and how often they are started again."""

import os
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.support.chains import recipe
from tune import checks
from tune.checks import count_workers, visible_gpus
from tune.errors import SearchError
from tune.search_settings import SearchSettings
from tune.trial_runners import InProcess
from tune.worker import Worker
from tune.worker_process import MOST_DEATHS, WorkerProcess, _threads


@pytest.mark.parametrize(
    "given, gpus",
    [("", []), ("-1", []), ("0", ["0"]), (" 2, 3,", ["2", "3"]), ("GPU-1,-1", ["GPU-1"])],
)
def test_gpus_that_the_environment_names(monkeypatch, given, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert visible_gpus() == gpus


@pytest.mark.parametrize(
    "script, gpus", [("echo 0; echo 1", ["0", "1"]), ("echo 7; exit 9", []), (None, [])]
)
def test_gpus_that_the_driver_lists(tmp_path, monkeypatch, script, gpus):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if script is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    assert visible_gpus() == gpus


@pytest.mark.parametrize(
    "wanted, cores, workers", [(None, 8, 3), (None, 2, 2), (1, 8, 1), (8, 8, 8), (9, 8, 8)]
)
def test_workers_are_as_many_as_wanted_or_as_fit(monkeypatch, capsys, wanted, cores, workers):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(checks, "cpu_count", lambda: cores)
    chain = recipe({}, {"budgets": {"jobs": 4, "parallel": 3}})
    assert count_workers(wanted, chain) == (workers, [])
    warned = "9 workers are too many for 8 cores; taking 8" in capsys.readouterr().out
    assert warned == (wanted == 9)


@pytest.mark.parametrize("wanted", [0, -1])
def test_less_than_one_worker_is_refused(wanted):
    with pytest.raises(SearchError, match=f"--workers must be at least 1; found {wanted}"):
        count_workers(wanted, recipe({}))


@pytest.mark.parametrize(
    "cores, workers, given, threads",
    [(8, 2, "", 4), (8, 3, "", 2), (2, 4, "", 1), (8, 2, "3", 3), (8, 2, "9", 4), (8, 2, "0", 4)],
)
def test_a_worker_has_its_share_of_the_cores(monkeypatch, cores, workers, given, threads):
    monkeypatch.setattr("tune.worker_process.cpu_count", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert _threads(workers) == threads


def program(folder: Path, script: str) -> str:
    """An executable that stands for the Python of a worker."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def worker(folder: Path, storage: str | None = None, gpus: tuple[str, ...] = ()) -> WorkerProcess:
    settings = SearchSettings(folder, {}, {}, {}, storage=storage)
    return WorkerProcess(settings, 1, 2, list(gpus))


def wait(one: WorkerProcess) -> None:
    deadline = time.monotonic() + 30
    while not one.gone():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_worker_gets_its_arguments_its_gpu_and_the_storage(tmp_path, monkeypatch):
    script = 'echo "$@"; echo "gpu $CUDA_VISIBLE_DEVICES, $PYTHONUNBUFFERED"; cat'
    monkeypatch.setattr(sys, "executable", program(tmp_path, script))
    one = worker(tmp_path, "sqlite:///secret", ("4", "5"))
    assert not one.gone()
    one.start()
    wait(one)
    assert (tmp_path / "worker-1.log").read_text().splitlines() == [
        f"-m tune.worker {tmp_path} 1 {os.getpid()}",
        "gpu 5, 1",
        "sqlite:///secret",
    ]


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_worker_is_started_again_until_it_died_too_often(tmp_path, monkeypatch, code):
    script = f"echo one; echo no memory; exit {code}"
    monkeypatch.setattr(sys, "executable", program(tmp_path, script))
    one = worker(tmp_path)
    one.start()
    for finished in (0, 1, 1):  # a trial in between begins the count anew
        wait(one)
        assert one.again(finished) == f"worker 1 ended with code {code}; started again"
    wait(one)
    with pytest.raises(SearchError) as caught:
        one.again(1)
    assert str(caught.value) == (
        f"worker 1 ended with code {code}, {MOST_DEATHS} times in a row: no memory "
        f"(see '{tmp_path}/worker-1.log')"
    )


def test_a_killed_worker_is_always_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", program(tmp_path, "kill -9 $$"))
    one = worker(tmp_path)
    one.start()
    for _ in range(MOST_DEATHS + 1):
        wait(one)
        assert one.again(0) == "worker 1 was killed by signal SIGKILL; started again"
    wait(one)


@pytest.mark.parametrize(
    "script, code", [("exec sleep 60", -15), ("trap '' TERM; exec sleep 60", -9)]
)
def test_a_worker_leaves_or_is_killed(tmp_path, monkeypatch, script, code):
    monkeypatch.setattr(sys, "executable", program(tmp_path, f"echo here; {script}"))
    one = worker(tmp_path)
    one.end(0.0)  # nothing to end yet
    one.ask_to_leave()
    one.start()
    log = tmp_path / "worker-1.log"
    while not log.read_text():
        time.sleep(0.005)
    assert not one.gone()
    one.ask_to_leave()
    wait_s = 0.05
    if code == -15:
        wait_s = 30
    one.end(time.monotonic() + wait_s)
    assert one._process is not None
    assert one._process.returncode == code
    one.ask_to_leave()  # it has gone: nothing happens
    assert one.gone()


@pytest.mark.parametrize("given, gpu", [("", None), ("3", 3), ("GPU-1", None)])
def test_a_workers_engine_is_made_once_with_its_gpu(monkeypatch, tmp_path, given, gpu):
    made: list[tuple[object, ...]] = []
    said: list[tuple[str, str]] = []
    engine = InProcess.__new__(InProcess)  # without torch, which its making loads

    def make(*given: object) -> InProcess:
        assert said == [("worker", "torch")]  # a wait for it is said from before on
        made.append(given)
        return engine

    def loading(*words: str) -> nullcontext[None]:
        said.append((words[0], words[1]))
        return nullcontext()

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    monkeypatch.setattr("tune.worker.Loading", loading)
    monkeypatch.setattr("tune.worker.make_engine", make)
    one = Worker(SearchSettings(tmp_path, {}, {}, {}, image="mine"), 0)
    assert one.engine is engine
    assert one.engine is engine
    assert made == [(one.settings, gpu)]


def test_leaving_stops_the_training_that_runs(tmp_path):
    stopped = []

    class Engine:
        def stop(self) -> None:
            stopped.append(True)

    one = Worker(SearchSettings(tmp_path, {}, {}, {}), 0)
    one.leave()
    assert one.leaving
    one._engine = Engine()  # type: ignore[assignment]  # a stand-in that only stops
    one.leave()
    assert stopped == [True]
