"""What the machine is doing: CPU, I/O wait, memory, disk, network and GPUs, in the names SageMaker's profiler gives them.

CPU, disk and network are rates since the call before. It knows only what this process may see: in a container the
cores it may use, its own memory limit, its own network.
"""

import os
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import NamedTuple

import psutil

from artifact.machine import memory_left, memory_limit


class Metric(NamedTuple):
    """One measurement. Percentages are 0..100, rates are bytes or operations a second."""

    type: str
    name: str
    dimension: str
    value: float


class Meters:
    """Everything that can be measured here; each call measures once, about a millisecond. The first has no rates yet."""

    def __init__(self, gpu: Callable[[], Iterator[Metric]] | None = None):
        self._cores = sorted(os.sched_getaffinity(0))
        self._gpu = gpu
        self._at, self._cpu, self._disk, self._network = 0.0, [], {}, {}

    def measure(self) -> list[Metric]:
        """All metrics of this moment; GPUs that no longer answer are left out."""
        now, cpu, disk, network = (
            time.perf_counter(),
            psutil.cpu_times(percpu=True),
            _disk(),
            _network(),
        )
        passed = max(now - self._at, 1e-6)
        metrics = [
            metric
            for core in self._cores
            if core < min(len(cpu), len(self._cpu))
            for metric in _core(core, self._cpu[core], cpu[core])
        ]
        metrics.append(
            Metric("memory", "MemoryUsedPercent", "", 100 * (1 - memory_left() / memory_limit()))
        )
        for kind, dimension, old, new in (
            ("i/o", "", self._disk, disk),
            ("network", "Algorithm", self._network, network),
        ):
            metrics += [
                Metric(kind, name, dimension, max(0.0, new[name] - old[name]) / passed)
                for name in new
                if name in old
            ]
        self._at, self._cpu, self._disk, self._network = now, cpu, disk, network
        return metrics + (list(self._gpu()) if self._gpu else [])


def _core(number: int, old, new) -> Iterator[Metric]:
    spent = {
        field: max(0.0, getattr(new, field) - getattr(old, field))
        for field in new._fields
        if not field.startswith("guest")
    }
    total = sum(spent.values())
    if total:
        waiting = spent.get("iowait", 0.0)
        yield Metric(
            "cpu", f"cpu{number}", "CPUUtilization", 100 * (total - spent["idle"] - waiting) / total
        )
        yield Metric("cpu", f"cpu{number}", "I/OWaitPercentage", 100 * waiting / total)


def _disk() -> dict[str, float]:
    counters = (
        psutil.disk_io_counters()
    )  # None where the kernel shows no disks, as in some containers
    return (
        {
            "IOPS": counters.read_count + counters.write_count,
            "ReadThroughputInBytesPerSecond": counters.read_bytes,
            "WriteThroughputInBytesPerSecond": counters.write_bytes,
        }
        if counters
        else {}
    )


def _network() -> dict[str, float]:
    cards = [
        counters for name, counters in psutil.net_io_counters(pernic=True).items() if name != "lo"
    ]
    return {
        "ReceiveBytesPerSecond": sum(card.bytes_recv for card in cards),
        "TransmitBytesPerSecond": sum(card.bytes_sent for card in cards),
    }


def gpu_meter(nvml: ModuleType | None = None) -> Callable[[], Iterator[Metric]] | None:
    """What measures all NVIDIA GPUs: use, and used memory, in percent. None without the library, a driver or a GPU.

    nvml: the module pynvml (package nvidia-ml-py), imported here when not given.
    """
    if nvml is None:
        try:
            import pynvml as nvml
        except ImportError:
            return None
    try:
        nvml.nvmlInit()
        handles = [
            nvml.nvmlDeviceGetHandleByIndex(index) for index in _visible(nvml.nvmlDeviceGetCount())
        ]
    except nvml.NVMLError:
        return None

    def measure() -> Iterator[Metric]:
        for index, handle in enumerate(handles):
            try:
                use, memory = (
                    nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
                    nvml.nvmlDeviceGetMemoryInfo(handle),
                )
            except nvml.NVMLError:
                continue
            yield Metric("gpu", f"gpu{index}", "GPUUtilization", float(use))
            yield Metric(
                "gpu", f"gpu{index}", "GPUMemoryUtilization", 100 * memory.used / memory.total
            )

    return measure if handles else None


def _visible(count: int) -> list[int]:
    """The GPUs that this process may use, where CUDA_VISIBLE_DEVICES names them by number."""
    names = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return (
        [int(name) for name in names if int(name) < count]
        if all(name.isdigit() for name in names)
        else list(range(count))
    )
