"""The profile's parts: rotated files, measured GPUs, spans on a GPU's own time, settings."""

import json
from itertools import pairwise
from types import SimpleNamespace

import pytest

from artifact.host.system_files import SystemFiles
from artifact.host.system_metrics import Meters, Metric, gpu_meter
from diagnose.profiler_reader import read_profile
from train.job import Job, JobError
from train.recording.profile_files import Span, SpanFiles
from train.recording.profile_marks import StreamMarks
from train.recording.profile_settings import ProfileSettings, read_settings


def test_files_rotate(tmp_path):
    spans = SpanFiles(tmp_path, "0-algo-1", rotate_bytes=10**6, rotate_s=60)
    system = SystemFiles(tmp_path, "algo-1", rotate_bytes=200, rotate_s=60)
    for minute in range(3):
        for second in (59, 61):
            at = 60.0 * minute + second
            spans.write([Span("Forward", "Forward", at, 0.5, {"step_num": minute})])
            spans.rotate(at)
            system.write(at, [Metric("cpu", "cpu0", "CPUUtilization", 1.0)] * 3)
    spans.close()
    system.close()
    names = sorted(
        int(path.name.split("_")[0])
        for path in (tmp_path / "framework" / "pevents" / "1970010100").iterdir()
    )
    assert len(names) == 2
    assert all(later - earlier >= 60 * 10**6 for earlier, later in pairwise(names))
    assert all(json.loads(path.read_text()) for path in tmp_path.rglob("*_pythontimeline.json"))
    assert {path.name for path in tmp_path.rglob("*.algo-1.json")} == {
        f"{second}.algo-1.json" for second in (59, 60, 119, 120, 179, 180)
    }
    read = read_profile(tmp_path)
    assert len(read.spans[0].starts) == 6
    assert len(read.series[0].times) == 18


class Nvml:
    """pynvml with two GPUs, of which the second falls off the bus."""

    NVMLError = type("NVMLError", (Exception,), {})
    fails = False

    def nvmlInit(self):
        pass

    def nvmlDeviceGetCount(self):
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(used=10 + handle, total=40)

    def nvmlDeviceGetUtilizationRates(self, handle):
        if self.fails and handle == 1:
            raise self.NVMLError
        return SimpleNamespace(gpu=50 + handle)


def test_gpus_are_measured(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml()
    meters = Meters(gpu_meter(nvml))
    metrics = [metric for metric in meters.measure() if metric.type == "gpu"]
    assert metrics == [
        ("gpu", "gpu0", "GPUUtilization", 50),
        ("gpu", "gpu0", "GPUMemoryUtilization", 25),
        ("gpu", "gpu1", "GPUUtilization", 51),
        ("gpu", "gpu1", "GPUMemoryUtilization", 27.5),
    ]
    nvml.fails = True
    assert {metric.name for metric in meters.measure() if metric.type == "gpu"} == {"gpu0"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    nvml.fails = False
    assert [
        metric.value
        for metric in Meters(gpu_meter(nvml)).measure()
        if metric.dimension == "GPUUtilization"
    ] == [51]


class Stream:
    """A CUDA stream on a clock of its own, in seconds.

    An event passes when `reached` is past its place in the stream.
    """

    def __init__(self):
        self.end, self.reached, self.synchronized = 100.0, 0.0, 0

    def synchronize(self):
        self.synchronized += 1
        self.reached = self.end

    def Event(self, enable_timing):
        assert enable_timing
        stream = self

        class Event:
            def record(self):
                self.at = stream.end

            def query(self):
                return self.at <= stream.reached

            def elapsed_time(self, other):
                return 1000 * (other.at - self.at)

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
    assert marks.times(end, later) == (5002.0, 1.0)
    assert stream.synchronized == 1


def config(root, **values):
    (root / "input" / "config").mkdir(parents=True, exist_ok=True)
    (root / "input" / "config" / "profilerconfig.json").write_text(json.dumps(values))


def test_settings(tmp_path):
    assert read_settings(Job(tmp_path), tmp_path / "own", asked=False) is None
    assert read_settings(Job(tmp_path), tmp_path / "own", asked=True) == ProfileSettings(
        tmp_path / "own"
    )
    traced = read_settings(Job(tmp_path), tmp_path / "own", asked=False, steps=(3, 5))
    assert traced is not None
    assert traced.steps == (3, 5)
    config(
        tmp_path,
        DisableProfiler=True,
        ProfilingIntervalInMilliseconds=100,
        ProfilingParameters=None,
    )
    assert read_settings(Job(tmp_path), tmp_path / "own", asked=False) is None
    asked = read_settings(Job(tmp_path), tmp_path / "own", asked=True)
    assert asked is not None
    assert asked.interval_ms == 500
    config(
        tmp_path,
        DisableProfiler=False,
        ProfilingIntervalInMilliseconds=1000,
        ProfilingParameters={
            "LocalPath": "/opt/ml/output/profiler",
            "RotateMaxFileSizeInBytes": "1000",
            "RotateFileCloseIntervalInSeconds": "30",
        },
    )
    (tmp_path / "input" / "config" / "resourceconfig.json").write_text('{"current_host": "algo_2"}')
    assert read_settings(Job(tmp_path), tmp_path / "own", asked=False, rank=3) == ProfileSettings(
        tmp_path / "output" / "profiler", 1000, 1000, 30, "algo-2", 3
    )


@pytest.mark.parametrize(
    ("text", "steps", "words"),
    [
        ("{", (), "is not readable JSON"),
        ("[1]", (), "holds a list; expected an object"),
        (
            '{"ProfilingIntervalInMilliseconds": 7}',
            (),
            "must be one of 100, 200, 500, 1000, 5000, 60000; found 7",
        ),
        (
            '{"ProfilingIntervalInMilliseconds": "often"}',
            (),
            "must be a whole number above 0; found 'often'",
        ),
    ],
)
def test_bad_settings(tmp_path, text, steps, words):
    config(tmp_path)
    (tmp_path / "input" / "config" / "profilerconfig.json").write_text(text)
    with pytest.raises(JobError, match="^[^\n]*$") as error:
        read_settings(Job(tmp_path), tmp_path, asked=True, steps=steps)
    assert words in str(error.value)
