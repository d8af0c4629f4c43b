"""A machine's use, from counters that are set by hand."""

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from artifact.host import system_metrics
from artifact.host.system_metrics import Meters, Metric, gpu_meter


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

    monkeypatch.setattr(system_metrics, "psutil", own)
    monkeypatch.setattr(system_metrics, "time", SimpleNamespace(perf_counter=clock))
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0})
    monkeypatch.setattr(system_metrics, "memory_left", lambda: 25)
    monkeypatch.setattr(system_metrics, "memory_limit", lambda: 100)
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
