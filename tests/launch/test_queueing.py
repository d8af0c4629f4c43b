"""The simulated host against what queueing theory says, and against what must hold."""

import statistics

import pytest

from launch.queueing import (
    Work,
    bursts,
    highest_rate,
    p99_s,
    poisson,
    simulate,
    speed_up,
)

WORK = Work(decode_ms=4, engine_ms=20, other_ms=1)


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_a_photo_alone_waits_for_nothing(cores):
    (seconds,) = simulate(WORK, cores, [1.0])
    assert seconds == pytest.approx(WORK.alone_s(cores))
    assert seconds == pytest.approx(0.005 + 0.020 / speed_up(cores))


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_one_core_keeps_to_the_formula_of_pollaczek_and_khinchin(share):
    """M/D/1: Poisson arrivals, one core, the same work for each photo."""
    work = Work(decode_ms=0, engine_ms=10, other_ms=0)
    latencies = simulate(work, 1, poisson(share * 100))
    wait_s = 0.010 * share / (2 * (1 - share))
    assert statistics.fmean(latencies) == pytest.approx(0.010 + wait_s, rel=0.1)


def test_photos_are_decoded_side_by_side_and_share_the_cores():
    decoding = Work(decode_ms=10, engine_ms=0, other_ms=0)
    assert simulate(decoding, 2, [0.0, 0.0]) == pytest.approx([0.010, 0.010])
    assert simulate(decoding, 1, [0.0, 0.0]) == pytest.approx([0.010, 0.020])
    # The engine's one thread and a decoder take half of the one core each.
    latencies = simulate(Work(10, 10, 0), 1, [0.0, 0.0])
    assert sorted(latencies) == pytest.approx([0.030, 0.040])


def test_bursts_keep_the_mean_rate_and_are_the_harder_load():
    moments = bursts(100)
    assert len(moments) / moments[-1] == pytest.approx(100, rel=0.1)
    in_a_burst = sum(moment % 5 < 1 for moment in moments)
    assert in_a_burst / len(moments) == pytest.approx(0.6, abs=0.05)
    steady = p99_s(WORK, 2, 40, poisson)
    assert p99_s(WORK, 2, 40, bursts) > 2 * steady


def test_the_highest_rate_is_just_within_the_limit():
    rate = highest_rate(WORK, 2, 0.2, poisson)
    assert p99_s(WORK, 2, rate, poisson) <= 0.2
    assert rate < 2 / WORK.core_s
    assert p99_s(WORK, 2, 1.05 * rate, poisson) > 0.2
    assert highest_rate(WORK, 2, 0.010, poisson) == 0.0
