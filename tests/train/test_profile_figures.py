"""The profile's files to the byte, its settings' bounds, and a machine's use from its counters."""

import json
from contextlib import closing
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from train.job import Job, JobError
from train.recording import profile_system
from train.recording.debug_settings import DebugSettings, _saved
from train.recording.profile_files import Span, SpanFiles, SystemFiles
from train.recording.profile_settings import ProfileSettings, read_settings
from train.recording.profile_system import Meters, Metric, gpu_meter

DAY_S = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC
DAY_US = 1_700_000_000_000_000
NAME = "0-algo-1_pythontimeline.json"


def spans(folder, rotate_bytes: int = 10**6, rotate_s: int = 60) -> SpanFiles:
    return SpanFiles(folder, "0-algo-1", rotate_bytes, rotate_s)


def test_spans_are_chromes_trace_events(tmp_path):
    files = spans(tmp_path)
    assert list((tmp_path / "framework").iterdir()) == []
    files.write([Span("Step", "a", DAY_S, 0.25, {"step_num": 3}), Span("Step", "b", DAY_S, 0, {})])
    files.write([Span("Load", "c", DAY_S + 0.5, -1.0, {})])
    files.close()
    files.close()
    [path] = (tmp_path / "framework").rglob("*.json")
    assert path == tmp_path / f"framework/pevents/2023111422/{DAY_US + 500_000}_{NAME}"
    assert json.loads(path.read_text()) == [
        named(0, {"start_time_since_epoch_in_micros": DAY_US}),
        named(0, {"name": "slipway"}),
        named(1, {"name": "Step"}),
        event("a", 1, 0, 250_000, {"step_num": "3"}),
        event("b", 1, 0, 0, {}),
        named(2, {"name": "Load"}),
        event("c", 2, 500_000, 0, {}),
    ]


def named(phase: int, arguments: dict) -> dict:
    return {"name": "process_name", "ph": "M", "pid": phase, "args": arguments}


def event(name: str, phase: int, start_us: int, duration_us: int, arguments: dict) -> dict:
    return {
        "name": name,
        "pid": phase,
        "ph": "X",
        "ts": start_us,
        "dur": duration_us,
        "args": arguments,
    }


@pytest.mark.parametrize("age_s, rotated", [(59.9, 0), (60.0, 0), (60.1, 1)])
def test_a_file_of_spans_ends_when_it_is_old(tmp_path, age_s, rotated):
    with closing(spans(tmp_path)) as files:
        files.rotate(DAY_S)  # nothing is there yet
        files.write([Span("Step", "a", DAY_S, 0.25, {})])
        files.rotate(DAY_S + age_s)
        assert len(list(tmp_path.rglob("*.json"))) == rotated


def test_a_file_of_spans_ends_when_it_is_large(tmp_path):
    span = Span("Step", "a", DAY_S, 0.25, {})
    with closing(spans(tmp_path / "probe")) as probe:
        probe.write([span])
        [open_path] = (tmp_path / "probe").rglob("*.tmp")
        size = open_path.stat().st_size
    for name, bound, rotated in (("as-large", size, 0), ("larger", size - 1, 1)):
        with closing(spans(tmp_path / name, rotate_bytes=bound)) as files:
            files.write([span])
            files.rotate(DAY_S)
            assert len(list((tmp_path / name).rglob("*.json"))) == rotated, name


def test_a_growing_file_of_a_killed_run_is_kept_under_another_name(tmp_path):
    with closing(spans(tmp_path)) as files:
        (tmp_path / "framework" / f"{NAME}.tmp").write_text("[")
        files.write([Span("Step", "b", DAY_S, 0.25, {})])
        left = sorted(path.name for path in (tmp_path / "framework").iterdir())
    assert len(left) == 2
    assert left[0] == f"{NAME}.tmp"
    time_us, _, rest = left[1].partition("_")
    assert rest == f"{NAME}.tmp"
    assert 15 < len(time_us) < 18  # microseconds since the epoch


def test_metrics_are_a_line_each(tmp_path):
    files = SystemFiles(tmp_path, "algo-1", 10**6, 60)
    files.write(DAY_S + 0.25, [Metric("cpu", "cpu0", "CPUUtilization", 12.345)])
    [path] = tmp_path.rglob("*.json")
    assert path == tmp_path / "system/incremental/2023111422/1700000000.algo-1.json"
    assert path.read_text() == (
        '{"Type":"cpu","Name":"cpu0","Dimension":"CPUUtilization","Value":12.35,'
        '"NodeId":"algo-1","Timestamp":1700000000.250000}\n'
    )
    files.close()


@pytest.mark.parametrize("bound, names", [(0, [120, 121]), (1000, [120])])
def test_a_file_of_metrics_ends_when_it_is_large(tmp_path, bound, names):
    files = SystemFiles(tmp_path, "n", bound, 60)
    for second in (120.5, 121.5):
        files.write(second, [Metric("cpu", "cpu0", "CPUUtilization", 1.0)])
    files.close()
    found = sorted(int(path.name.split(".")[0]) for path in tmp_path.rglob("*.json"))
    assert found == names


def test_a_file_of_metrics_as_large_as_its_bound_goes_on(tmp_path):
    metric = Metric("cpu", "cpu0", "CPUUtilization", 1.0)
    probe = SystemFiles(tmp_path / "probe", "n", 10**6, 60)
    probe.write(120.5, [metric])
    probe.close()
    [path] = (tmp_path / "probe").rglob("*.json")
    files = SystemFiles(tmp_path / "own", "n", path.stat().st_size, 60)
    for second in (120.5, 121.5, 122.5):
        files.write(second, [metric])
    files.close()
    found = sorted(path.name for path in (tmp_path / "own").rglob("*.json"))
    assert found == ["120.n.json", "122.n.json"]


def config(root, **values) -> Job:
    (root / "input/config").mkdir(parents=True, exist_ok=True)
    (root / "input/config/profilerconfig.json").write_text(json.dumps(values))
    return Job(root)


def test_the_settings_by_default(tmp_path):
    assert ProfileSettings(tmp_path) == ProfileSettings(
        tmp_path, 500, 10_485_760, 60, "algo-1", 0, None
    )
    read = read_settings(Job(tmp_path), tmp_path, asked=False, steps=(0, 0))
    assert read == ProfileSettings(tmp_path, steps=(0, 0))
    assert DebugSettings() == DebugSettings(
        ("gradients", "weights", "activations", "samples"), 10, 1, 1, 512
    )


@pytest.mark.parametrize("interval", [100, 200, 500, 1000, 5000, 60000])
def test_the_intervals_that_sagemaker_allows(tmp_path, interval):
    job = config(tmp_path, ProfilingIntervalInMilliseconds=interval)
    settings = read_settings(job, tmp_path, asked=True)
    assert settings is not None
    assert settings.interval_ms == interval


@pytest.mark.parametrize("given, expected", [("1", 1), (1, 1), ("2.5", 2), (0, 60), ("", 60)])
def test_whole_numbers(tmp_path, given, expected):
    job = config(tmp_path, ProfilingParameters={"RotateFileCloseIntervalInSeconds": given})
    settings = read_settings(job, tmp_path, asked=False)
    assert settings is not None
    assert settings.rotate_s == expected


@pytest.mark.parametrize("given", ["0", "-1", "0.9", "often", "inf", "nan", [1]])
def test_numbers_that_cannot_be_used(tmp_path, given):
    job = config(tmp_path, ProfilingParameters={"RotateFileCloseIntervalInSeconds": given})
    with pytest.raises(JobError) as caught:
        read_settings(job, tmp_path, asked=False)
    assert str(caught.value) == (
        "profilerconfig.json: RotateFileCloseIntervalInSeconds must be a whole number above 0; "
        f"found '{given}'"
    )


@pytest.mark.parametrize("steps", [(1, 2, 3), (2,), (3, 2), (-1, 0)])
def test_windows_that_cannot_be_used(tmp_path, steps):
    with pytest.raises(JobError, match="must be a first and a last step, such as 10,12; found"):
        read_settings(Job(tmp_path), tmp_path, asked=False, steps=steps)


@pytest.mark.parametrize(
    "collections, sample, names",
    [
        ((), 512, []),
        (("gradients",), 512, ["gradients"]),
        (("weights", "biases"), 512, ["weights", "biases"]),
        (
            ("activations",),
            512,
            ["relu_input", "relu_activity", "tanh_input", "sigmoid_input"],
        ),
        (("activations",), 0, ["relu_input", "relu_output", "tanh_input", "sigmoid_input"]),
        (("samples",), 512, ["labels", "predictions", "inputs"]),
    ],
)
def test_the_saved_collections(collections, sample, names):
    saved = list(_saved(DebugSettings(collections, sample=sample), "ResNet"))
    assert [entry.collection for entry in saved] == names
    assert [entry.collection for entry in saved if not entry.values] == [
        name for name in names if name == "relu_input"
    ]


def test_an_unknown_collection_is_named():
    with pytest.raises(JobError) as caught:
        DebugSettings(("weights", "weight"))
    assert str(caught.value) == (
        "hyperparameter debug_collections must be of gradients, weights, biases, activations, "
        "samples; found 'weight'"
    )


class Times(NamedTuple):
    user: float
    idle: float
    iowait: float
    guest: float


class Machine:
    """psutil with counters that are set by hand."""

    def __init__(self) -> None:
        self.cpu = [Times(0, 0, 0, 0)]
        self.disk: SimpleNamespace | None = disk(0, 0, 0, 0)
        self.cards = {"lo": card(9, 9), "eth0": card(0, 0), "eth1": card(0, 0)}

    def cpu_times(self, percpu: bool):
        assert percpu
        return self.cpu

    def disk_io_counters(self):
        return self.disk

    def net_io_counters(self, pernic: bool):
        assert pernic
        return self.cards


def disk(reads: int, writes: int, read_bytes: int, write_bytes: int) -> SimpleNamespace:
    return SimpleNamespace(
        read_count=reads, write_count=writes, read_bytes=read_bytes, write_bytes=write_bytes
    )


def card(received: int, sent: int) -> SimpleNamespace:
    return SimpleNamespace(bytes_recv=received, bytes_sent=sent)


@pytest.fixture
def machine(monkeypatch) -> Machine:
    own = Machine()
    now = [100.0]

    def clock() -> float:
        now[0] += 2.0
        return now[0]

    monkeypatch.setattr(profile_system, "psutil", own)
    monkeypatch.setattr(profile_system, "time", SimpleNamespace(perf_counter=clock))
    monkeypatch.setattr(profile_system.os, "sched_getaffinity", lambda process: {0})
    monkeypatch.setattr(profile_system, "memory_left", lambda: 25)
    monkeypatch.setattr(profile_system, "memory_limit", lambda: 100)
    return own


def test_rates_are_those_since_the_measurement_before(machine):
    meters = Meters()
    assert meters.measure() == [Metric("memory", "MemoryUsedPercent", "", 75.0)]
    machine.cpu = [Times(user=3, idle=4, iowait=1, guest=50)]
    machine.disk = disk(10, 20, 300, 400)
    machine.cards = {"lo": card(99, 99), "eth0": card(10, 20), "eth1": card(30, 50)}
    assert meters.measure() == [
        Metric("cpu", "cpu0", "CPUUtilization", 37.5),
        Metric("cpu", "cpu0", "I/OWaitPercentage", 12.5),
        Metric("memory", "MemoryUsedPercent", "", 75.0),
        Metric("i/o", "IOPS", "", 15.0),
        Metric("i/o", "ReadThroughputInBytesPerSecond", "", 150.0),
        Metric("i/o", "WriteThroughputInBytesPerSecond", "", 200.0),
        Metric("network", "ReceiveBytesPerSecond", "Algorithm", 20.0),
        Metric("network", "TransmitBytesPerSecond", "Algorithm", 35.0),
    ]


def test_counters_that_step_back_or_stand_still(machine):
    meters = Meters()
    machine.cpu = [Times(5, 5, 5, 5)]
    machine.disk = disk(9, 9, 9, 9)
    meters.measure()
    machine.disk = disk(0, 0, 0, 0)
    found = {metric.name: metric.value for metric in meters.measure()}
    assert "cpu0" not in found  # no time has passed for the core
    assert found["IOPS"] == 0.0
    machine.disk = None
    machine.cpu = [Times(9, 4, 5, 5)]
    found = {metric.dimension: metric.value for metric in meters.measure()}
    assert "IOPS" not in found
    assert found["CPUUtilization"] == 100.0


def test_a_core_that_the_kernel_no_longer_shows_is_left_out(machine):
    meters = Meters()
    meters.measure()
    machine.cpu = []
    assert all(metric.type != "cpu" for metric in meters.measure())


@pytest.mark.parametrize(
    "visible, numbers", [("", [0, 1]), ("1", [1]), ("1, 0", [1, 0]), ("5", []), ("GPU-12", [0, 1])]
)
def test_the_gpus_that_the_process_may_use(monkeypatch, visible, numbers):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvml = SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUtilizationRates=lambda number: SimpleNamespace(gpu=number),
        nvmlDeviceGetMemoryInfo=lambda number: SimpleNamespace(used=1, total=4),
    )
    meter = gpu_meter(nvml)
    if not numbers:
        assert meter is None
        return
    assert meter is not None
    uses = [metric.value for metric in meter() if metric.dimension == "GPUUtilization"]
    assert uses == numbers


def test_without_a_driver_no_gpu_is_measured():
    def fail() -> None:
        raise OSError("no driver")

    assert gpu_meter(SimpleNamespace(NVMLError=OSError, nvmlInit=fail)) is None
