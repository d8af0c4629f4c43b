"""The clock of a tuning job: this run and those before it, noted now and then."""

import socket

import optuna
import pytest

from tune.clock import Clock

HOST = f"slipway_spent/{socket.gethostname()}"


@pytest.fixture
def now(monkeypatch):
    """A clock that the test moves, seconds."""
    times = [100.0]
    monkeypatch.setattr("tune.clock.time.monotonic", lambda: times[0])
    return times


def test_the_clock_counts_this_run_and_those_before(now):
    study = optuna.create_study()
    study.set_user_attr(HOST, 7.5)
    one = Clock(study)
    now[0] = 102.0
    assert one.elapsed(counts=True) == 9.5
    assert one.elapsed(counts=False) == 0.0
    study.set_user_attr("slipway_spent/another", 30.0)
    study.set_user_attr("other", 99.0)
    assert one.elapsed(counts=True) == 30.0


def test_the_clock_notes_the_time_every_ten_seconds(now):
    study = optuna.create_study()
    one = Clock(study)
    now[0] = 110.0
    one.elapsed(counts=True)
    assert HOST not in study.user_attrs
    now[0] = 110.5
    one.elapsed(counts=True)
    assert study.user_attrs[HOST] == 10.5
    now[0] = 120.4
    one.elapsed(counts=True)
    assert study.user_attrs[HOST] == 10.5
