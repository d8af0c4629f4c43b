"""A launcher's words and codes for its workers' ends, with a board and failures made by hand."""

import signal
import socket

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from train.distributed import launcher
from train.failure import BROKEN, FAILED
from train.job import Job, JobError
from train.stop import Stop


class FakeBoard:
    """A board in a dict; `gone`: its host answers no more."""

    def __init__(self, gone: bool = False, **messages: str) -> None:
        self.messages = dict(messages)
        self.gone = gone

    def post(self, name: str, text: str = "yes") -> None:
        if self.gone:
            raise RuntimeError("broken\nand more")
        self.messages.setdefault(name, text)

    def read(self, name: str) -> str | None:
        if self.gone:
            raise RuntimeError("broken")
        return self.messages.get(name)


def failure_with(exitcode: int) -> ProcessFailure:
    """The end of the worker of local rank 1, as torch describes it."""
    return ProcessFailure(1, 4242, exitcode, "")


class AgedStop(Stop):
    """A stop that was requested some time ago."""

    def __init__(self, own_age_s: float) -> None:
        super().__init__()
        self.own_age_s = own_age_s

    def age_s(self) -> float:
        return self.own_age_s


class Child:
    """A child process of the launcher."""

    killed = False

    def kill(self) -> None:
        self.killed = True


def make(root, names, host, board=None, processes: int = 2) -> launcher._Launch:
    launch = launcher._Launch(Job(root), names, host, processes)
    launch.board = board
    return launch


def failure_of(root) -> str:
    return (root / "output/failure").read_text()


@pytest.mark.parametrize(
    "exitcode, sentence, code",
    [
        (5, "process 1 of 2 ended with code 5", FAILED),
        (0, "process 1 of 2 ended with code 0", FAILED),
        (70, "process 1 of 2 ended with code 70", BROKEN),
        (-11, "process 1 of 2 was killed by SIGSEGV", FAILED),
        (
            -6,
            "process 1 of 2 was killed by SIGABRT; torch does that when NCCL waits for another "
            "process for over 900 s",
            FAILED,
        ),
        (
            -9,
            "process 1 of 2 was killed by SIGKILL; the kernel does that to a machine out of memory",
            FAILED,
        ),
    ],
)
def test_a_worker_that_left_no_reason_is_described(tmp_path, exitcode, sentence, code):
    board = FakeBoard()
    alone = make(tmp_path, ["algo-1"], "algo-1", board)
    assert alone._report(failure_with(exitcode)) == code
    assert failure_of(tmp_path) == sentence
    several = make(tmp_path, ["algo-1", "algo-2"], "algo-2", board)
    (tmp_path / "output/failure").unlink()
    assert several._report(failure_with(exitcode)) == code
    assert failure_of(tmp_path) == f"algo-2 failed: {sentence}"
    assert board.messages == {"failure": sentence}  # the first reason stays


def test_a_workers_own_reason_is_passed_on_and_stays(tmp_path):
    job = Job(tmp_path)
    job.write_failure("no photos")
    board = FakeBoard()
    launch = make(tmp_path, ["algo-1", "algo-2"], "algo-1", board)
    assert launch._report(failure_with(1)) == FAILED
    assert board.messages == {"failure": "algo-1 failed: no photos"}
    assert failure_of(tmp_path) == "no photos"


def test_a_killed_workers_end_replaces_an_older_reason(tmp_path):
    Job(tmp_path).write_failure("another host is gone")
    launch = make(tmp_path, ["algo-1"], "algo-1", FakeBoard())
    launch._report(failure_with(-9))
    assert failure_of(tmp_path).startswith("process 1 of 2 was killed by SIGKILL")


def test_a_board_that_is_gone_or_never_came_hinders_no_report(tmp_path, caplog):
    caplog.set_level("INFO")
    names = ["algo-1", "algo-2"]
    make(tmp_path, names, "algo-2", FakeBoard(gone=True))._report(failure_with(3))
    assert "host algo-1 is gone already (broken)" in caplog.messages
    make(tmp_path, names, "algo-2", None)._report(failure_with(3))
    assert make(tmp_path, names, "algo-1", None)._others_left()


@pytest.mark.parametrize(
    "host, board, expected",
    [
        ("algo-1", FakeBoard(failure="no photos"), None),  # the first host itself
        ("algo-2", None, None),  # not met yet
        ("algo-2", FakeBoard(), None),
        ("algo-2", FakeBoard(failure="no photos"), "no photos"),
        ("algo-2", FakeBoard(failure="no photos", joined="yes"), None),
    ],
)
def test_a_failure_before_all_have_met(tmp_path, monkeypatch, host, board, expected):
    launch = make(tmp_path, ["algo-1", "algo-2"], host, board)
    # The launcher kills all children of its process, and the test's own are no workers.
    worker = Child()
    monkeypatch.setattr("psutil.Process.children", lambda self: [worker])
    assert launch._failure_before_meeting() == expected
    if expected:
        with pytest.raises(JobError, match=f"^{expected}$"):
            launch.check_first_host()
    else:
        launch.check_first_host()
    assert worker.killed == bool(expected)


def test_a_first_host_that_is_gone_before_all_have_met_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_RENDEZVOUS_PORT", "4321")
    launch = make(tmp_path, ["algo-1", "algo-2"], "algo-2", FakeBoard(gone=True))
    assert launch._failure_before_meeting() == (
        "host algo-1 closed its connection on port 4321 before all hosts were up; look into its log"
    )
    launch.joined = True
    assert launch._failure_before_meeting() is None


def test_hosts_that_do_not_come_together_are_named(tmp_path):
    launch = make(tmp_path, ["algo-1", "algo-2"], "algo-1", FakeBoard())
    launch.error = RuntimeError("x" * 400 + "\nsecond line")
    with pytest.raises(JobError) as caught:
        launch.outcome()
    assert str(caught.value) == (
        "the 2 hosts (algo-1, algo-2) did not come together within 900 s (" + "x" * 300 + ")"
    )
    assert caught.value.__cause__ is launch.error


def test_the_outcome_without_an_error_and_with_our_own(tmp_path):
    launch = make(tmp_path, ["algo-1"], "algo-1")
    assert launch.outcome() == 0
    launch.error = JobError("our own words")
    with pytest.raises(JobError, match="^our own words$"):
        launch.outcome()


def test_one_host_meets_itself_and_several_meet_at_the_first(tmp_path, monkeypatch):
    monkeypatch.delenv("SLIPWAY_RENDEZVOUS_PORT", raising=False)
    alone = make(tmp_path, ["algo-3"], "algo-3")
    assert alone.address == "127.0.0.1"
    assert alone.port != 7777
    assert alone.rank == 0
    second = make(tmp_path, ["algo-1", "algo-2"], "algo-2")
    assert second.address == "algo-1"
    assert second.port == 7777
    assert second.rank == 1
    assert second.daemon


def test_other_hosts_say_that_they_left_and_the_first_one_waits_for_them(tmp_path):
    board = FakeBoard()
    names = ["algo-1", "algo-2", "algo-3"]
    first = make(tmp_path, names, "algo-1", board)
    for host in names[1:]:
        assert not first._others_left()
        make(tmp_path, names, host, board)._linger()
    assert board.messages == {"left algo-2": "yes", "left algo-3": "yes"}
    assert first._others_left()
    first._linger()  # returns at once


@pytest.mark.parametrize(
    "value, processes",
    [("1", 1), ("2", 2), ("12", 12), ("", 1)],
)
def test_processes_of_a_host(monkeypatch, value, processes):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setenv("SLIPWAY_PROCESSES", value)
    assert launcher.processes_here() == processes


@pytest.mark.parametrize("gpus, processes", [(0, 1), (1, 1), (4, 4)])
def test_a_host_has_a_process_for_each_gpu(monkeypatch, gpus, processes):
    monkeypatch.delenv("SLIPWAY_PROCESSES", raising=False)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert launcher.processes_here() == processes


@pytest.mark.parametrize("text", ["1", "65535"])
def test_the_ends_of_the_ports(monkeypatch, text):
    monkeypatch.setenv("SLIPWAY_RENDEZVOUS_PORT", text)
    assert launcher.rendezvous_port() == int(text)


def test_a_server_answers_and_a_closed_port_does_not(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert launcher._answers("127.0.0.1", port) is True
    assert launcher._answers("127.0.0.1", port) is False
    assert launcher._answers("127.0.0.1", None) is True

    def fail(*_: object) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", fail)
    assert launcher._answers("algo-1", None) is False


class Worker:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signals: list[int] = []

    def send_signal(self, number: int) -> None:
        self.signals.append(number)


@pytest.mark.parametrize("age_s, waits", [(9.9, True), (10.0, True), (10.1, False)])
def test_a_stop_before_there_are_workers_waits_ten_seconds(monkeypatch, age_s, waits):
    stop = AgedStop(age_s)
    monkeypatch.setattr("psutil.Process.children", lambda self: [])
    if waits:
        launcher._pass_on(stop, set())
    else:
        with pytest.raises(JobError, match="^stopped before all hosts were up$"):
            launcher._pass_on(stop, set())
    launcher._pass_on(stop, {7})  # the workers have got it, and are gone


def test_each_worker_gets_the_stop_once(monkeypatch):
    workers = [Worker(5), Worker(6)]
    stop = AgedStop(99.0)
    monkeypatch.setattr("psutil.Process.children", lambda self: workers)
    stopped = {6}
    for _ in range(2):
        launcher._pass_on(stop, stopped)
    assert workers[0].signals == [signal.SIGTERM]
    assert workers[1].signals == []
    assert stopped == {5, 6}
