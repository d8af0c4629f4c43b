"""Short real trainings under the profiler: its files, the rules over them, its faults."""

import gzip
import json
import logging
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from diagnose.profiler_reader import read_profile
from diagnose.profiler_rules import evaluate_rules
from diagnose.smdebug_compat import load_smdebug
from tests.support.jobs import REPOSITORY
from train.recording.profile import NoProfile, Profile, profiling
from train.recording.profile_settings import ProfileSettings

pytestmark = pytest.mark.training

# A process may have fewer cores than its machine.
CORES = len(os.sched_getaffinity(0))


def train(profile, batches, slow=(), pause_s=0.05):
    """A small network's training; the numbered steps last longer in their backward pass."""
    network = torch.nn.Linear(64, 8)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for number, batch in enumerate(profile.steps(batches)):
        with profile.span("Forward"):
            loss = network(batch).square().mean()
        with profile.span("Backward"):
            optimizer.zero_grad()
            loss.backward()
            if number in slow:
                time.sleep(pause_s)
        with profile.span("Optimizer"):
            optimizer.step()


def batches(count, wait_s=0.0):
    for _ in range(count):
        time.sleep(wait_s)
        yield torch.randn(4, 64)


def loaded_by_threads(profile, count, threads, seconds=0.12):
    def load(_):
        with profile.worker():
            time.sleep(seconds)
        return torch.randn(4, 64)

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(load, range(count))


def answer(folder, rule, **parameters):
    (result,) = evaluate_rules(
        read_profile(folder),
        {f"{rule}_{name}": value for name, value in parameters.items()},
        [rule],
    )
    return result


def test_a_training_is_profiled(tmp_path):
    with profiling(ProfileSettings(tmp_path / "profiler", interval_ms=100)) as profile:
        time.sleep(0.7)  # reading data, building the network
        train(profile, batches(400), slow=range(100, 112))
        for _ in profile.steps(batches(5), "EVAL"):
            with profile.span("Forward"):
                time.sleep(0.002)
        with profile.span("Checkpoint"):
            time.sleep(0.02)
    read = read_profile(tmp_path)
    assert read.notes == ()
    counts = {spans.name: len(spans.starts) for spans in read.spans}
    assert counts == {
        "Step:ModeKeys.TRAIN": 400,
        "Step:ModeKeys.EVAL": 5,
        "DataLoaderIter::GetNext": 405,
        "Forward": 405,
        "Backward": 400,
        "Optimizer": 400,
        "Checkpoint": 1,
    }
    steps = read.steps("TRAIN")[0]
    assert steps.steps.tolist() == list(range(400))
    assert np.allclose(steps.ends[:-1], steps.starts[1:], atol=0.05), (
        "a step ends where the next begins"
    )
    measured = {(series.type, series.name, series.dimension) for series in read.series}
    assert {("cpu", f"cpu{core}", "CPUUtilization") for core in os.sched_getaffinity(0)} <= measured
    assert {
        ("memory", "MemoryUsedPercent", ""),
        ("network", "ReceiveBytesPerSecond", "Algorithm"),
    } <= measured
    assert all(
        series.values.min() >= 0
        and (series.values.max() <= 100 or series.dimension in ("", "Algorithm"))
        for series in read.series
    )
    outliers = answer(tmp_path, "StepOutlier", stddev=3)
    assert outliers.triggered
    assert set(range(100, 112)) & set(outliers.details["step_details"]["algo-1-0"]["step_numbers"])
    assert next(iter(outliers.details["step_details"]["algo-1-0"]["causes"])) == "Backward"
    assert answer(tmp_path, "MaxInitializationTime", threshold=0.01).triggered
    assert not answer(tmp_path, "MaxInitializationTime").triggered


def test_a_slow_loader_fires_and_by_sagemakers_rule_a_parallel_one_does_not(tmp_path):
    with profiling(ProfileSettings(tmp_path / "slow", interval_ms=100)) as profile:
        train(profile, batches(13, wait_s=0.18))
    with profiling(ProfileSettings(tmp_path / "parallel", interval_ms=100)) as profile:
        train(profile, loaded_by_threads(profile, 20 * CORES, CORES))
    slow = answer(tmp_path / "slow", "Dataloader", patience=1)
    assert slow.triggered
    assert slow.details["cores"] == CORES
    assert slow.details["dataloaders"] == 1
    assert re.search(r"Waiting for data took (8|9)\d %|Waiting for data took 100 %", slow.finding)
    # It waits, too, so ours fires. SageMaker's looks at the loaders alone.
    assert answer(tmp_path / "parallel", "Dataloader", patience=1).triggered
    parallel = answer(tmp_path / "parallel", "Dataloader", patience=1, defaults="sagemaker")
    assert parallel.triggered == 0
    assert parallel.not_evaluated == ""
    assert parallel.details["dataloaders"] == CORES
    assert parallel.details["dataloading_time"]["p50"] == pytest.approx(0.12, rel=0.5)


def test_off_means_off(tmp_path):
    with profiling(None) as profile:
        assert isinstance(profile, NoProfile)
        data = batches(3)
        # Off costs nothing: the same iterator comes back.
        assert profile.steps(data) is data
        assert profile.span("Forward") is profile.worker()
        train(profile, data)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_is_broken_off_is_not_recorded(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        profiling(ProfileSettings(tmp_path, interval_ms=100)) as profile,
    ):
        for number, _ in enumerate(profile.steps(batches(10))):
            if number == 4:
                with profile.span("Forward"):
                    raise ZeroDivisionError
    spans = {spans.name: spans for spans in read_profile(tmp_path).spans}
    assert len(spans["Step:ModeKeys.TRAIN"].starts) == 4
    assert spans["Forward"].steps.tolist() == [4]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_killed_training_leaves_what_it_had(tmp_path):
    script = f"""
import os, sys, time
from pathlib import Path
from train.recording.profile import profiling
from train.recording.profile_settings import ProfileSettings
with profiling(ProfileSettings(Path({str(tmp_path)!r}), interval_ms=100)) as profile:
    for number in profile.steps(range(1000)):
        time.sleep(0.01)
        if number == 60: os._exit(9)
"""
    assert (
        subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False).returncode == 9
    )
    # A file was not finished.
    assert list(tmp_path.rglob("*.tmp"))
    assert 5 < len(read_profile(tmp_path).steps()[0].starts) <= 60
    with profiling(
        ProfileSettings(tmp_path, interval_ms=100)
    ) as profile:  # the job goes on from its checkpoint
        train(profile, batches(20))
    assert len(list(tmp_path.rglob("*.tmp"))) == 1
    assert len(read_profile(tmp_path).steps()[0].starts) > 25


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")
def test_smdebug_reads_what_was_written(tmp_path):
    with load_smdebug():
        from smdebug.profiler.algorithm_metrics_reader import LocalAlgorithmMetricsReader
        from smdebug.profiler.system_metrics_reader import LocalSystemMetricsReader

    with profiling(ProfileSettings(tmp_path, interval_ms=100)) as profile:
        train(profile, batches(30, wait_s=0.01))
    start, end = (round(second * 1e6) for second in read_profile(tmp_path).bounds())
    for reader, names in (
        (
            LocalAlgorithmMetricsReader(str(tmp_path)),
            {"Step:ModeKeys.TRAIN", "Forward", "DataLoaderIter::GetNext"},
        ),
        (LocalSystemMetricsReader(str(tmp_path)), {"MemoryUsedPercent"}),
    ):
        reader.refresh_event_file_list()
        events = reader.get_events(start - 10**6, end + 10**6)
        assert names <= {getattr(event, "event_name", None) or event.name for event in events}
        if "Forward" in names:
            assert sorted(
                int(event.event_args["step_num"])
                for event in events
                if event.event_phase == "Forward"
            ) == list(range(30))


def test_a_window_of_steps_is_traced(tmp_path):
    with profiling(ProfileSettings(tmp_path / "whole", steps=(3, 4))) as profile:
        train(profile, batches(8))
    with profiling(ProfileSettings(tmp_path / "early", steps=(3, 400))) as profile:
        train(profile, batches(8))
    for folder, steps in (("whole", 2), ("early", 5)):
        (trace,) = (tmp_path / folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
        assert sum(event["name"] == "aten::linear" for event in events) == steps
        operators = {row["name"]: row for row in read_profile(tmp_path / folder).operators}
        assert operators["aten::linear"]["count"] == steps
        assert operators["aten::linear"]["cpu_us"] > 0
    details = answer(tmp_path / "whole", "OverallFrameworkMetrics").details
    assert details["ratio"] == {"CPU": 100, "GPU": 0}
    assert len(details["CPU_total"]) == len(details["CPU"]) == 20


def test_a_disk_that_takes_nothing_costs_the_profile_only(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with (
        caplog.at_level(logging.WARNING),
        profiling(ProfileSettings(tmp_path / "file" / "profiler")) as profile,
    ):
        train(profile, batches(3))
    assert isinstance(profile, NoProfile)
    assert "profile: there will be none" in caplog.text
    with (
        caplog.at_level(logging.WARNING),
        profiling(ProfileSettings(tmp_path / "ok", interval_ms=100, rotate_s=1)) as profile,
    ):
        # A file takes the place of the profile's folder.
        (tmp_path / "ok" / "framework").rmdir()
        (tmp_path / "ok" / "framework").write_text("")
        train(profile, batches(40, wait_s=0.01))
        assert isinstance(profile, Profile)
    assert "profile: stopped, the training goes on" in caplog.text
