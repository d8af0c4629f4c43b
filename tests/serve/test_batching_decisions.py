"""The batcher's decisions one by one, without a running engine: averages, sizes, waits, limits."""

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from serve import batching
from serve.admission import Admission, DecodingTime
from serve.batching import Batcher, EngineDead
from serve.request_state import Overloaded, RequestState, TooManyPhotos


@pytest.fixture
def batcher() -> Batcher:
    """One whose thread has ended: the tests call its steps."""
    engine: Any = SimpleNamespace(max_batch=8, close=lambda: None, run=lambda pixels: pixels)
    made = Batcher(engine, threading.Lock())
    made.close()
    made._closing = False
    return made


def left(seconds: float) -> Any:
    """A request's state with that much time left, always."""
    return SimpleNamespace(left_s=lambda: seconds, whole_s=seconds)


def test_the_first_run_is_the_average_and_later_ones_move_it_by_a_fifth(batcher):
    batcher._learn(2, 0.04)
    assert batcher._run_s == pytest.approx(0.04)
    assert batcher._photo_s == pytest.approx(0.02)
    batcher._learn(2, 0.08)
    assert batcher._run_s == pytest.approx(0.048)
    assert batcher._photo_s == pytest.approx(0.024)


def test_an_outlier_counts_as_ten_runs(batcher):
    batcher._learn(1, 0.04)
    batcher._learn(1, 100.0)
    assert batcher._run_s == pytest.approx(0.04 + 0.2 * (0.4 - 0.04))
    batcher._learn(1, 0.5)  # ten times the average is more than that
    assert batcher._run_s == pytest.approx(0.112 + 0.2 * (0.5 - 0.112))


@pytest.mark.parametrize(
    "limit, photos, seconds, expected",
    [
        (1, 1, 0.05, 2),
        (1, 1, 0.2, 2),  # one photo cannot be split
        (4, 4, 0.1, 5),
        (4, 4, 0.11, 3),
        (8, 8, 0.2, 6),
        (2, 2, 0.2, 1.5),
        (5, 4, 0.05, 5),  # the batch was not full
        (4.5, 4, 0.05, 5.5),
        (7.5, 7, 0.05, 8),  # the engine takes no more
        (8, 8, 0.05, 8),
    ],
)
def test_a_quick_full_batch_grows_and_a_slow_one_shrinks(batcher, limit, photos, seconds, expected):
    batcher._limit = limit
    batcher._learn(photos, seconds)
    assert batcher._limit == expected


@pytest.mark.parametrize(
    "waiting, photos, seconds", [(0, 10, 10), (9, 1, 10), (5, 5, 10), (0, 1, 0)]
)
def test_photos_whose_answers_come_in_time_are_admitted(batcher, waiting, photos, seconds):
    batcher._photo_s = 1.0
    batcher._waiting = waiting
    batcher.admit(photos, left(seconds))
    assert batcher.waiting == waiting + photos


@pytest.mark.parametrize(
    "waiting, photos, retry_after_s", [(10, 1, 5), (6, 5, 3), (1, 10, 1), (40, 1, 20)]
)
def test_photos_behind_a_long_queue_are_refused(batcher, waiting, photos, retry_after_s):
    batcher._photo_s = 1.0
    batcher._waiting = waiting
    with pytest.raises(Overloaded) as caught:
        batcher.admit(photos, left(10))
    assert caught.value.retry_after_s == retry_after_s
    assert batcher.waiting == waiting


@pytest.mark.parametrize(
    "wait_s, own_s, refused", [(0, 20, False), (9, 0.5, False), (9, 1.5, True), (30, 0.1, True)]
)
def test_the_time_to_decode_counts_as_the_engines_does(batcher, wait_s, own_s, refused):
    """An idle server takes any photo, however long it takes."""
    if not refused:
        batcher.admit(1, left(10), DecodingTime(wait_s, own_s))
        assert batcher.waiting == 1
        return
    with pytest.raises(Overloaded) as caught:
        batcher.admit(1, left(10), DecodingTime(wait_s, own_s))
    assert caught.value.retry_after_s == round(wait_s / 2)
    assert batcher.waiting == 0


def test_photos_that_take_too_long_to_decode_are_too_many(batcher):
    with pytest.raises(TooManyPhotos, match="4 photos take about 40 s, and 10 s are left; send at"):
        batcher.admit(4, left(10), DecodingTime(0, 40))


@pytest.mark.parametrize(
    "photos, seconds, words",
    [
        (11, 10, "11 photos take about 11 s, and 10 s are left; send at most 5 at once"),
        (2, 1.5, "2 photos take about 2 s, and 2 s are left; send at most 1 at once"),
        (100, 0.4, "100 photos take about 100 s, and 0 s are left; send at most 1 at once"),
    ],
)
def test_photos_that_take_too_long_on_an_idle_engine_are_too_many(batcher, photos, seconds, words):
    batcher._photo_s = 1.0
    with pytest.raises(TooManyPhotos) as caught:
        batcher.admit(photos, left(seconds))
    assert str(caught.value) == words
    assert batcher.waiting == 0


def test_settled_photos_do_not_wait_any_more(batcher):
    batcher.admit(3, left(1))
    batcher.settle(2)
    assert batcher.waiting == 1


@pytest.mark.parametrize(
    "started, now, fault",
    [
        (None, 100.0, None),
        (70.0, 100.0, None),
        (69.9, 100.0, "a run has been going on for over 30 s"),
    ],
)
def test_a_run_of_over_thirty_seconds_is_a_fault(batcher, monkeypatch, started, now, fault):
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: now))
    batcher._run_started = started
    assert batcher.fault() == fault


def test_the_engines_own_fault_is_named_before_its_run(batcher, monkeypatch):
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: 100.0))
    batcher._run_started = 0.0
    batcher._fault = "RuntimeError: gone"
    assert batcher.fault() == "RuntimeError: gone"
    with pytest.raises(EngineDead, match=r"the engine does not run \(RuntimeError: gone\)"):
        batcher.admit(1, left(1))


class Waits:
    """In the place of the condition: the time-outs of its waits, in which nothing happens."""

    def __init__(self, wakes: int = 0):
        self.wakes = wakes
        self.seconds: list[float] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def notify(self) -> None: ...

    def wait(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        self.wakes -= 1
        return self.wakes >= 0


def queue(batcher: Batcher, count: int, waits: Any) -> None:
    for _ in range(count):
        batcher.submit(np.zeros((1, 1, 3), np.uint8), RequestState.lasting(10))
    batcher._changed = waits


@pytest.mark.parametrize(
    "run_s, coming, queued, waited",
    [
        (0.01, 1, 1, [0.005]),  # half a run
        (1.0, 1, 1, [0.01]),  # at most the longest wait
        (1.0, 0, 1, []),
        (1.0, 1, 4, []),
        (0.0, 1, 1, []),
    ],
)
def test_a_batch_that_is_not_full_waits(batcher, monkeypatch, run_s, coming, queued, waited):
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: 50.0))
    waits = Waits()
    queue(batcher, queued, waits)
    batcher._limit = 4
    batcher._run_s = run_s
    batcher._coming = coming
    assert len(batcher._take()) == queued
    assert waits.seconds == pytest.approx(waited)


def test_a_batch_waits_again_when_it_was_woken(batcher, monkeypatch):
    now = iter([50.0, 50.0, 50.004, 50.01])
    monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: next(now)))
    waits = Waits(wakes=5)
    queue(batcher, 0, waits)
    entry: Any = SimpleNamespace()
    batcher._queue.append(entry)
    batcher._limit = 4
    batcher._run_s = 1.0
    batcher._coming = 1
    assert batcher._take() == [entry]
    assert waits.seconds == pytest.approx([0.01, 0.006])


def test_a_closing_batcher_does_not_wait(batcher):
    waits = Waits()
    queue(batcher, 1, waits)
    batcher._limit = 4
    batcher._run_s = 1.0
    batcher._coming = 1
    batcher._closing = True
    assert len(batcher._take()) == 1
    assert batcher._take() == []
    assert waits.seconds == []


@pytest.mark.parametrize("limit, taken", [(0.5, 1), (1, 1), (3.9, 3), (8, 8), (20, 8)])
def test_a_batch_holds_what_the_limit_and_the_engine_take(batcher, limit, taken):
    queue(batcher, 10, Waits())
    batcher._limit = limit
    assert len(batcher._take()) == taken
    assert len(batcher._queue) == 10 - taken


def test_the_time_in_the_queue_is_noted(batcher):
    state = RequestState.lasting(10)
    entry = batching._Queued(np.zeros((1, 1, 3), np.uint8), state, since=20.0)
    assert batcher._wanted([entry], 22.5) == [entry]
    assert state.stages == {"queue": 2.5}


def test_a_run_notes_its_time_and_answers_in_order(batcher):
    state = RequestState.lasting(10)
    entries = [batching._Queued(np.full((1, 1, 3), value, np.uint8), state) for value in (1, 2)]
    batcher._run(entries)
    assert [entry.future.result()[0, 0, 0] for entry in entries] == [1, 2]
    assert set(state.stages) == {"queue", "engine"}
    assert batcher._run_s > 0


@pytest.mark.parametrize(
    "error, fault",
    [
        (RuntimeError("one\ntwo"), "RuntimeError: one"),
        (KeyError(), "KeyError: no reason given"),
    ],
)
def test_a_dead_engine_ends_the_queue_and_calls_died_once(batcher, error, fault):
    called = threading.Event()
    batcher._died = called.set
    entries = [batching._Queued(np.zeros((1, 1, 3), np.uint8), left(1)) for _ in range(2)]
    batcher._queue.extend(entries)
    batcher._declare_dead(error)
    assert batcher.fault() == fault
    assert not batcher._queue
    for entry in entries:
        with pytest.raises(EngineDead, match="the engine does not run"):
            entry.future.result(0)
    assert called.wait(5)
    assert batcher._take() == []


def test_a_request_whose_time_has_mostly_gone_is_late_and_not_too_large():
    admission = Admission()
    admission._learn_photos(1, 1.0)
    state: Any = SimpleNamespace(left_s=lambda: 5.0, whole_s=60.0)
    with pytest.raises(Overloaded):
        admission.admit(6, state)
    admission.admit(5, state)
