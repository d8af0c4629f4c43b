"""What one process of several does: its shard, its questions whether to stop, its messages."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from train.distributed import board, context
from train.distributed.board import PeerError, Watch
from train.distributed.context import ALONE, DistributedContext
from train.job import Job
from train.stop import Stop


@pytest.mark.parametrize(
    "rank, size, expected",
    [(0, 1, [0, 1, 2, 3, 4]), (0, 2, [0, 2, 4]), (1, 2, [1, 3]), (2, 3, [2]), (5, 6, [])],
)
def test_a_share_is_every_size_th_photo(rank, size, expected):
    own = DistributedContext(rank, size).share(np.arange(5), 1)
    assert own.tolist() == expected


def test_neighbours_stay_together():
    shares = [DistributedContext(rank, 2).share(np.arange(7), 2).tolist() for rank in (0, 1)]
    assert shares == [[0, 1, 4, 5], [2, 3, 6]]


def test_a_process_alone_asks_nobody():
    assert DistributedContext() == ALONE
    assert ALONE.is_main_process
    assert not DistributedContext(rank=1, size=2).is_main_process
    rows = torch.ones(2, 3)
    assert ALONE.gather(rows, []) is rows
    assert ALONE.sum_across(rows) is rows
    assert ALONE.any_process(True) is True
    assert ALONE.any_process(False) is False
    assert ALONE.broadcast_from_main(lambda: "made") == "made"
    module = torch.nn.Linear(1, 1)
    assert ALONE.data_parallel(module) is module

    def stop() -> bool:
        return False

    assert ALONE.agreed_stop(stop) is stop
    ALONE.wait_for_main()


class Exchange:
    """torch.distributed among this process and one more, whose answers are scripted."""

    ReduceOp = SimpleNamespace(MIN="min", MAX="max")

    def __init__(self, *others: list[int]) -> None:
        self.others = list(others)
        self.asked = 0

    def all_reduce(self, values, op=None, group=None) -> None:
        self.asked += 1
        if self.others:
            other = torch.tensor(self.others.pop(0))
            chosen = torch.minimum(values, other) if op == "min" else torch.maximum(values, other)
            values.copy_(chosen)


class Ticks:
    """A clock that each reading moves on."""

    def __init__(self, step_s: float) -> None:
        self.now = 100.0
        self.step_s = step_s

    def monotonic(self) -> float:
        self.now += self.step_s
        return self.now


def questions(monkeypatch, step_s: float, steps: int, exchange: Exchange) -> list[int]:
    """The steps at which the other processes are asked."""
    monkeypatch.setattr(context, "dist", exchange)
    monkeypatch.setattr(context, "time", Ticks(step_s))
    stop = DistributedContext(rank=0, size=2).agreed_stop(lambda: False)
    asked = []
    for step in range(steps):
        before = exchange.asked
        assert stop() is False
        if exchange.asked > before:
            asked.append(step)
    return asked


def test_the_steps_between_two_questions_double_while_they_are_quick(monkeypatch):
    assert questions(monkeypatch, 0.0, 16, Exchange()) == [0, 2, 6, 14]


def test_slow_steps_ask_every_time(monkeypatch):
    assert questions(monkeypatch, 1.0, 4, Exchange()) == [0, 1, 2, 3]
    assert questions(monkeypatch, 3.0, 4, Exchange()) == [0, 1, 2, 3]


def test_all_processes_take_the_lowest_number_of_steps(monkeypatch):
    exchange = Exchange([0, 1], [0, 1], [0, 9])
    assert questions(monkeypatch, 0.0, 6, exchange) == [0, 1, 2, 4]


def test_one_process_that_stops_stops_all(monkeypatch):
    monkeypatch.setattr(context, "dist", Exchange([-1, 5]))
    stop = DistributedContext(rank=0, size=2).agreed_stop(lambda: False)
    assert stop() is True
    monkeypatch.setattr(context, "dist", Exchange([0, 5]))
    stop = DistributedContext(rank=0, size=2).agreed_stop(lambda: True)
    assert stop() is True


@pytest.mark.parametrize(
    "own, other, expected", [(False, 0, False), (True, 0, True), (False, 1, True)]
)
def test_a_flag_is_up_when_it_is_up_in_any_process(monkeypatch, own, other, expected):
    monkeypatch.setattr(context, "dist", Exchange(other))
    assert DistributedContext(rank=0, size=2).any_process(own) is expected


class FakeBoard:
    """A board in a dict; `gone`: its host answers no more."""

    def __init__(self, **messages: str) -> None:
        self.messages = dict(messages)
        self.gone = False

    def post(self, name: str, text: str = "yes") -> None:
        if self.gone:
            raise RuntimeError("broken")
        self.messages.setdefault(name, text)

    def read(self, name: str) -> str | None:
        if self.gone:
            raise RuntimeError("broken")
        return self.messages.get(name)


@pytest.fixture
def watch(tmp_path, monkeypatch) -> Watch:
    """A watch that nobody has started, and whose patience is short."""
    monkeypatch.setattr(board, "POLL_S", 0.01)
    monkeypatch.setattr(board, "REASON_S", 0.02)
    monkeypatch.setattr(board, "GRACE_S", 0.01)
    messages: Any = FakeBoard()  # in place of a Board
    return Watch(messages, Job(tmp_path), Stop(), "algo-2", "algo-1")


def test_a_stop_is_posted_and_taken_from_the_board(watch, tmp_path):
    watch._look()
    assert watch.board.messages == {}
    watch.stop.request()
    watch._look()
    assert watch.board.messages == {"stop": "yes"}
    other = Watch(watch.board, Job(tmp_path), Stop(), "algo-1", "algo-1")
    assert not other.stop()
    other._look()
    assert other.stop()


def test_what_is_done_stays_done(watch):
    watch.board.messages["done"] = "yes"
    watch._look()
    assert watch.done
    watch.wait_for_main()
    watch.board.messages.clear()
    watch._look()
    assert watch.done


def test_a_failure_on_the_board_ends_the_waiting(watch):
    watch.board.messages["failure"] = "algo-1 failed: no photos"
    watch._look()
    with pytest.raises(PeerError, match="^algo-1 failed: no photos$"):
        watch.wait_for_main()
    assert watch.others_failure() == "algo-1 failed: no photos"


def test_a_failure_of_our_own_is_posted_with_the_hosts_name(watch):
    watch.post_failure("no photos")
    assert watch.board.messages == {"failure": "algo-2 failed: no photos"}
    assert watch._leaving.is_set()
    watch.board.gone = True
    watch.post_failure("no photos")  # nobody is left to read it


def test_a_broken_connection_without_a_reason(watch):
    assert watch.others_failure() == (
        "the connection to another process of the job broke, and no reason came; "
        "look into the logs of the other hosts"
    )
    assert watch._leaving.is_set()
    assert watch.others_failure(timed_out=True) == (
        "another process of the job kept this one waiting for over 900 s, and no reason came; "
        "look into the logs of the other hosts"
    )


@pytest.mark.parametrize(
    "gone, failure, keeping, done, ended",
    [
        (True, "", False, False, "algo-1 is gone: the process there that holds the job together"),
        (False, "algo-1 failed: no photos", False, False, "algo-1 failed: no photos"),
        (False, "algo-1 failed: no photos", True, False, None),  # it writes the best artifact
        (False, "algo-1 failed: no photos", False, True, None),  # the job is done
    ],
)
def test_a_process_that_hangs_because_of_a_failure_elsewhere_is_ended(
    watch, monkeypatch, gone, failure, keeping, done, ended
):
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    watch.board.gone = gone
    if failure:
        watch.board.messages["failure"] = failure
    if done:
        watch.board.messages["done"] = "yes"
    watch.keeping = keeping
    watch.run()
    if ended is None:
        assert codes == []
        assert watch.job.failure() == ""
    else:
        assert codes == [1]
        assert watch.job.failure().startswith(ended)


def test_a_process_that_leaves_is_not_ended(watch, monkeypatch):
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    watch.leave()
    watch.run()
    assert codes == []
