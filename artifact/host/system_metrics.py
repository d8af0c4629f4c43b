"""The machine's use: CPU, I/O wait, memory, disk, network, GPUs, by SageMaker's profiler's names.

CPU, disk and network are rates since the measurement before. It sees only what this process may: in
a container the cores it may use, its own memory limit, its own network.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import psutil

from artifact.host.machine import memory_left, memory_limit

Counts = dict[str, float]  # by metric name, since the machine started


class Metric(NamedTuple):
    """One measurement. Percentages are 0..100, rates are bytes or operations per second."""

    type: str
    name: str
    dimension: str
    value: float


class Meters:
    """Measures everything that can be measured here, in about a millisecond.

    The first measurement has no rates.
    """

    def __init__(self, gpu: Callable[[], Iterator[Metric]] | None = None):
        self._cores = sorted(os.sched_getaffinity(0))
        self._gpu = gpu
        # the measurement before
        self._at = 0.0
        self._cpu: Sequence[Any] = ()  # psutil's times, whose fields depend on the kernel
        self._disk: Counts = {}
        self._network: Counts = {}

    def measure(self) -> list[Metric]:
        """All metrics of this moment; GPUs that no longer answer are left out."""
        now = time.perf_counter()
        cpu = psutil.cpu_times(percpu=True)
        disk = _disk()
        network = _network()
        seconds = max(now - self._at, 1e-6)
        metrics: list[Metric] = []
        for core in self._cores:
            if core < min(len(cpu), len(self._cpu)):
                metrics += core_use(core, self._cpu[core], cpu[core])
        used = 1 - memory_left() / memory_limit()
        metrics.append(Metric("memory", "MemoryUsedPercent", "", 100 * used))
        metrics += rates("i/o", "", self._disk, disk, seconds)
        metrics += rates("network", "Algorithm", self._network, network, seconds)
        if self._gpu:
            metrics += self._gpu()
        self._at = now
        self._cpu = cpu
        self._disk = disk
        self._network = network
        return metrics


def rates(kind: str, dimension: str, old: Counts, new: Counts, seconds: float) -> Iterator[Metric]:
    """What was counted between two measurements, per second."""
    for name in new:
        if name in old:
            yield Metric(kind, name, dimension, max(0.0, new[name] - old[name]) / seconds)


def core_use(number: int, old: Any, new: Any) -> Iterator[Metric]:
    """A core's use between two of psutil's times."""
    spent = {}
    for field in new._fields:
        if not field.startswith("guest"):  # counted in user time already
            spent[field] = max(0.0, getattr(new, field) - getattr(old, field))
    total = sum(spent.values())
    if total:
        waiting = spent.get("iowait", 0.0)
        used = 100 * (total - spent["idle"] - waiting) / total
        yield Metric("cpu", f"cpu{number}", "CPUUtilization", used)
        yield Metric("cpu", f"cpu{number}", "I/OWaitPercentage", 100 * waiting / total)


def _disk() -> Counts:
    counters = psutil.disk_io_counters()
    if counters is None:  # the kernel shows no disks, as in some containers
        return {}
    return {
        "IOPS": counters.read_count + counters.write_count,
        "ReadThroughputInBytesPerSecond": counters.read_bytes,
        "WriteThroughputInBytesPerSecond": counters.write_bytes,
    }


def _network() -> Counts:
    cards = psutil.net_io_counters(pernic=True)
    outside = [counters for name, counters in cards.items() if name != "lo"]
    return {
        "ReceiveBytesPerSecond": sum(card.bytes_recv for card in outside),
        "TransmitBytesPerSecond": sum(card.bytes_sent for card in outside),
    }


def gpu_meter(nvml: Any = None) -> Callable[[], Iterator[Metric]] | None:
    """Measures use and used memory of all NVIDIA GPUs, in percent.

    None without the library, a driver or a GPU. nvml: the module pynvml (package nvidia-ml-py,
    which has no types); imported here when it is not given.
    """
    if nvml is None:
        try:
            import pynvml
        except ImportError:
            return None
        nvml = pynvml
    try:
        nvml.nvmlInit()
        numbers = _visible(nvml.nvmlDeviceGetCount())
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in numbers]
    except nvml.NVMLError:
        return None
    if not handles:
        return None

    def measure() -> Iterator[Metric]:
        for index, handle in enumerate(handles):
            try:
                use = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
                memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            except nvml.NVMLError:
                continue
            used = 100 * memory.used / memory.total
            yield Metric("gpu", f"gpu{index}", "GPUUtilization", use)
            yield Metric("gpu", f"gpu{index}", "GPUMemoryUtilization", used)

    return measure


def _visible(count: int) -> list[int]:
    """The GPUs that this process may use, where CUDA_VISIBLE_DEVICES names them by number."""
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if not all(name.isdigit() for name in names):
        return list(range(count))
    return [int(name) for name in names if int(name) < count]
