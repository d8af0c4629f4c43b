"""Real trainings under the profiler, as short as they can be: what is written, what the rules say of it, what breaks."""

import gzip
import json
import logging
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from conftest import REPOSITORY
from diagnose.profiler_data import read_profile
from diagnose.profiler_rules import judge
from train.job import JobError
from train.profile import NoProfile, Profile, Settings, profiling, read_settings
from train.profile_files import SpanFiles, SystemFiles
from train.profile_marks import StreamMarks
from train.profile_system import Meters, Metric, gpu_meter

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
    result, = judge(read_profile(folder), {f"{rule}_{name}": value for name, value in parameters.items()}, [rule])
    return result


def test_a_training_is_profiled(tmp_path):
    with profiling(Settings(tmp_path / "profiler", interval_ms=100)) as profile:
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
    assert counts == {"Step:ModeKeys.TRAIN": 400, "Step:ModeKeys.EVAL": 5, "DataLoaderIter::GetNext": 405, "Forward": 405, "Backward": 400, "Optimizer": 400,
                      "Checkpoint": 1}
    steps = read.steps("TRAIN")[0]
    assert steps.steps.tolist() == list(range(400))
    assert np.allclose(steps.ends[:-1], steps.starts[1:], atol=0.05), "a step ends where the next begins"
    measured = {(series.type, series.name, series.dimension) for series in read.series}
    assert {("cpu", f"cpu{core}", "CPUUtilization") for core in os.sched_getaffinity(0)} <= measured
    assert {("memory", "MemoryUsedPercent", ""), ("network", "ReceiveBytesPerSecond", "Algorithm")} <= measured
    assert all(0 <= series.values.min() and (series.values.max() <= 100 or series.dimension in ("", "Algorithm")) for series in read.series)
    outliers = answer(tmp_path, "StepOutlier", stddev=3)
    assert outliers.triggered and set(range(100, 112)) & set(outliers.details["step_details"]["algo-1-0"]["step_numbers"])
    assert next(iter(outliers.details["step_details"]["algo-1-0"]["causes"])) == "Backward"
    assert answer(tmp_path, "MaxInitializationTime", threshold=0.01).triggered
    assert not answer(tmp_path, "MaxInitializationTime").triggered


def test_a_slow_loader_fires_and_a_parallel_one_does_not(tmp_path):
    with profiling(Settings(tmp_path / "slow", interval_ms=100)) as profile:
        train(profile, batches(13, wait_s=0.18))
    with profiling(Settings(tmp_path / "parallel", interval_ms=100)) as profile:
        train(profile, loaded_by_threads(profile, 20 * CORES, CORES))
    slow = answer(tmp_path / "slow", "Dataloader", patience=1)
    assert bool(slow.triggered) == (CORES > 1) and slow.details["cores"] == CORES and slow.details["dataloaders"] == 1
    assert re.search(r"Waiting for data took (8|9)\d %|Waiting for data took 100 %", slow.finding)
    parallel = answer(tmp_path / "parallel", "Dataloader", patience=1)
    assert parallel.triggered == 0 and parallel.unjudged == "" and parallel.details["dataloaders"] == CORES
    assert parallel.details["dataloading_time"]["p50"] == pytest.approx(0.12, rel=0.5)


def test_off_means_off(tmp_path):
    with profiling(None) as profile:
        assert isinstance(profile, NoProfile)
        data = batches(3)
        assert profile.steps(data) is data and profile.span("Forward") is profile.worker()
        train(profile, data)
    assert list(tmp_path.iterdir()) == []


def test_a_step_that_is_broken_off_is_not_recorded(tmp_path):
    with pytest.raises(ZeroDivisionError), profiling(Settings(tmp_path, interval_ms=100)) as profile:
        for number, _ in enumerate(profile.steps(batches(10))):
            if number == 4:
                with profile.span("Forward"):
                    raise ZeroDivisionError
    spans = {spans.name: spans for spans in read_profile(tmp_path).spans}
    assert len(spans["Step:ModeKeys.TRAIN"].starts) == 4 and spans["Forward"].steps.tolist() == [4]
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_killed_training_leaves_what_it_had(tmp_path):
    script = f"""
import os, sys, time
from pathlib import Path
from train.profile import Settings, profiling
with profiling(Settings(Path({str(tmp_path)!r}), interval_ms=100)) as profile:
    for number in profile.steps(range(1000)):
        time.sleep(0.01)
        if number == 60: os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=False).returncode == 9
    assert list(tmp_path.rglob("*.tmp")) and 5 < len(read_profile(tmp_path).steps()[0].starts) <= 60
    with profiling(Settings(tmp_path, interval_ms=100)) as profile:  # the job goes on from its checkpoint
        train(profile, batches(20))
    assert len(list(tmp_path.rglob("*.tmp"))) == 1 and len(read_profile(tmp_path).steps()[0].starts) > 25


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning")
def test_smdebug_reads_what_was_written(tmp_path):
    from smdebug.profiler.algorithm_metrics_reader import LocalAlgorithmMetricsReader
    from smdebug.profiler.system_metrics_reader import LocalSystemMetricsReader

    with profiling(Settings(tmp_path, interval_ms=100)) as profile:
        train(profile, batches(30, wait_s=0.01))
    start, end = (round(second * 1e6) for second in read_profile(tmp_path).bounds())
    for reader, names in ((LocalAlgorithmMetricsReader(str(tmp_path)), {"Step:ModeKeys.TRAIN", "Forward", "DataLoaderIter::GetNext"}),
                          (LocalSystemMetricsReader(str(tmp_path)), {"MemoryUsedPercent"})):
        reader.refresh_event_file_list()
        events = reader.get_events(start - 10**6, end + 10**6)
        assert names <= {getattr(event, "event_name", None) or event.name for event in events}
        if "Forward" in names:
            assert sorted(int(event.event_args["step_num"]) for event in events if event.event_phase == "Forward") == list(range(30))


def test_a_window_of_steps_is_traced(tmp_path):
    with profiling(Settings(tmp_path / "whole", steps=(3, 4))) as profile:
        train(profile, batches(8))
    with profiling(Settings(tmp_path / "early", steps=(3, 400))) as profile:
        train(profile, batches(8))
    for folder, steps in (("whole", 2), ("early", 5)):
        trace, = (tmp_path / folder).rglob("*.trace.json.gz")
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
        assert sum(event["name"] == "aten::linear" for event in events) == steps
        operators = {row["name"]: row for row in read_profile(tmp_path / folder).operators}
        assert operators["aten::linear"]["count"] == steps and operators["aten::linear"]["cpu_us"] > 0
    details = answer(tmp_path / "whole", "OverallFrameworkMetrics").details
    assert details["ratio"] == {"CPU": 100, "GPU": 0} and len(details["CPU_total"]) == len(details["CPU"]) == 20


def test_a_disk_that_takes_nothing_costs_the_profile_only(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING), profiling(Settings(tmp_path / "file" / "profiler")) as profile:
        train(profile, batches(3))
    assert isinstance(profile, NoProfile) and "profile: there will be none" in caplog.text
    with caplog.at_level(logging.WARNING), profiling(Settings(tmp_path / "ok", interval_ms=100, rotate_s=1)) as profile:
        (tmp_path / "ok" / "framework").rmdir()
        (tmp_path / "ok" / "framework").write_text("")
        train(profile, batches(40, wait_s=0.01))
        assert isinstance(profile, Profile)
    assert "profile: stopped, the training goes on" in caplog.text


def test_files_rotate(tmp_path):
    spans = SpanFiles(tmp_path, "0-algo-1", rotate_bytes=10**6, rotate_s=60)
    system = SystemFiles(tmp_path, "algo-1", rotate_bytes=200, rotate_s=60)
    for minute in range(3):
        for second in (59, 61):
            spans.write([("Forward", "Forward", 60.0 * minute + second, 0.5, {"step_num": minute})])
            spans.rotate(60.0 * minute + second)
            system.write(60.0 * minute + second, [Metric("cpu", "cpu0", "CPUUtilization", 1.0)] * 3)
    spans.close()
    system.close()
    names = sorted(int(path.name.split("_")[0]) for path in (tmp_path / "framework" / "pevents" / "1970010100").iterdir())
    assert len(names) == 2 and all(later - earlier >= 60 * 10**6 for earlier, later in pairwise(names))
    assert all(json.loads(path.read_text()) for path in tmp_path.rglob("*_pythontimeline.json"))
    assert {path.name for path in tmp_path.rglob("*.algo-1.json")} == {"59.algo-1.json", "60.algo-1.json", "119.algo-1.json", "120.algo-1.json", "179.algo-1.json",
                                                                      "180.algo-1.json"}
    read = read_profile(tmp_path)
    assert len(read.spans[0].starts) == 6 and len(read.series[0].times) == 18


class Nvml:
    """What pynvml says of two GPUs, of which the second falls off the bus."""

    NVMLError = type("NVMLError", (Exception,), {})
    fails = False

    def nvmlInit(self): pass
    def nvmlDeviceGetCount(self): return 2
    def nvmlDeviceGetHandleByIndex(self, index): return index
    def nvmlDeviceGetMemoryInfo(self, handle): return SimpleNamespace(used=10 + handle, total=40)

    def nvmlDeviceGetUtilizationRates(self, handle):
        if self.fails and handle == 1:
            raise self.NVMLError
        return SimpleNamespace(gpu=50 + handle)


def test_gpus_are_measured(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml()
    meters = Meters(gpu_meter(nvml))
    metrics = [metric for metric in meters.measure() if metric.type == "gpu"]
    assert metrics == [("gpu", "gpu0", "GPUUtilization", 50), ("gpu", "gpu0", "GPUMemoryUtilization", 25), ("gpu", "gpu1", "GPUUtilization", 51),
                       ("gpu", "gpu1", "GPUMemoryUtilization", 27.5)]
    nvml.fails = True
    assert {metric.name for metric in meters.measure() if metric.type == "gpu"} == {"gpu0"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    nvml.fails = False
    assert [metric.value for metric in Meters(gpu_meter(nvml)).measure() if metric.dimension == "GPUUtilization"] == [51]


class Stream:
    """A CUDA stream on a clock of its own, in seconds: events pass when `reached` is past the time at which they stand in it."""

    def __init__(self):
        self.end, self.reached, self.synchronized = 100.0, 0.0, 0

    def synchronize(self):
        self.synchronized += 1
        self.reached = self.end

    def Event(self, enable_timing):
        assert enable_timing
        stream = self

        class Event:
            def record(self): self.at = stream.end
            def query(self): return self.at <= stream.reached
            def elapsed_time(self, other): return 1000 * (other.at - self.at)

        return Event()


def test_spans_on_a_gpu_are_those_of_its_stream():
    stream = Stream()
    marks = StreamMarks(lambda: 5000.0, stream)
    start = marks.mark()
    stream.end += 2.0  # two seconds of work are given to the stream at once
    end = marks.mark()
    assert stream.synchronized == 1
    assert marks.times(start, end) is None
    stream.reached = stream.end
    assert marks.times(start, end) == (5000.0, 2.0)
    marks.passed(end, 5002.0)
    stream.end += 1.0
    later = marks.mark()
    stream.reached = stream.end
    assert marks.times(end, later) == (5002.0, 1.0) and stream.synchronized == 1


def config(root, **values):
    (root / "input" / "config").mkdir(parents=True, exist_ok=True)
    (root / "input" / "config" / "profilerconfig.json").write_text(json.dumps(values))


def test_settings(tmp_path):
    assert read_settings(tmp_path, tmp_path / "own", asked=False) is None
    assert read_settings(tmp_path, tmp_path / "own", asked=True) == Settings(tmp_path / "own")
    assert read_settings(tmp_path, tmp_path / "own", asked=False, steps=(3, 5)).steps == (3, 5)
    config(tmp_path, DisableProfiler=True, ProfilingIntervalInMilliseconds=100, ProfilingParameters=None)
    assert read_settings(tmp_path, tmp_path / "own", asked=False) is None
    assert read_settings(tmp_path, tmp_path / "own", asked=True).interval_ms == 500
    config(tmp_path, DisableProfiler=False, ProfilingIntervalInMilliseconds=1000, ProfilingParameters={
        "LocalPath": "/opt/ml/output/profiler", "RotateMaxFileSizeInBytes": "1000", "RotateFileCloseIntervalInSeconds": "30"})
    (tmp_path / "input" / "config" / "resourceconfig.json").write_text('{"current_host": "algo_2"}')
    assert read_settings(tmp_path, tmp_path / "own", asked=False, rank=3) == Settings(tmp_path / "output" / "profiler", 1000, 1000, 30, "algo-2", 3)


@pytest.mark.parametrize(("text", "steps", "words"), [
    ("{", (), "is not readable JSON"), ("[1]", (), "holds a list; expected an object"),
    ('{"ProfilingIntervalInMilliseconds": 7}', (), "must be one of 100, 200, 500, 1000, 5000, 60000; found 7"),
    ('{"ProfilingIntervalInMilliseconds": "often"}', (), "must be a whole number above 0; found 'often'"),
    ("", (5,), "profile_steps must be a first and a last step, such as 10,12; found 5"), ("", (5, 3), "found 5,3"), ("", (-1, 3), "found -1,3"),
])
def test_bad_settings(tmp_path, text, steps, words):
    config(tmp_path)
    (tmp_path / "input" / "config" / "profilerconfig.json").write_text(text)
    with pytest.raises(JobError, match="^[^\n]*$") as error:
        read_settings(tmp_path, tmp_path, asked=True, steps=steps)
    assert words in str(error.value)
