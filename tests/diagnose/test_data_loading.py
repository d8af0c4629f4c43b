"""The rule Dataloader: steps that wait for data, and those that hardly do."""

import numpy as np
import pytest

from diagnose.profiler_data import Profile, Series, Spans
from diagnose.profiler_rules import evaluate_rules

STEPS = 30  # of a second each
CORES = 4


def profile(tmp_path, waiting: float, loaders: int) -> Profile:
    """A training whose steps wait for a share of their time; its loaders work all the time."""
    starts = np.arange(float(STEPS))

    def spans(phase: str, name: str, seconds: float, pid: int = 0) -> Spans:
        numbers = np.arange(STEPS)
        pids = np.full(STEPS, pid)
        return Spans("0-algo-1", phase, name, starts, np.full(STEPS, seconds), numbers, pids)

    rows = [spans("Step:ModeKeys.TRAIN", "Step:ModeKeys.TRAIN", 1.0)]
    if waiting:
        rows.append(spans("DataLoaderIter", "DataLoaderIter::GetNext", waiting))
    rows += [spans("DataLoaderWorker", "load", 0.9, pid) for pid in range(1, loaders + 1)]
    cores = [
        Series("algo-1", "cpu", f"cpu{core}", "CPUUtilization", starts, np.full(STEPS, 50.0))
        for core in range(CORES)
    ]
    return Profile(tmp_path, tuple(cores), tuple(rows))


@pytest.mark.parametrize(
    ("waiting", "loaders", "fires", "by_sagemaker"),
    [
        (0.02, 1, False, True),  # few loaders, but the steps hardly wait
        (0.3, 1, True, True),
        (0.3, 4, False, False),  # as many as there are cores
        (0.7, 4, True, False),  # and yet loading is what takes the time
        (0.0, 1, True, True),  # how long steps wait was not recorded
    ],
)
def test_it_asks_how_long_the_steps_wait(tmp_path, waiting, loaders, fires, by_sagemaker):
    recorded = profile(tmp_path, waiting, loaders)
    (ours,) = evaluate_rules(recorded, {}, ["Dataloader"])
    assert bool(ours.triggered) == fires, ours.finding
    documented = {"Dataloader_defaults": "sagemaker"}
    (theirs,) = evaluate_rules(recorded, documented, ["Dataloader"])
    assert bool(theirs.triggered) == by_sagemaker, theirs.finding
