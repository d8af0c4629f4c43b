"""Profiler rules on how each GPU is used.

By SageMaker's definitions and with its documented defaults. Percentages are 0..100; patience and
window count measurements.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diagnose.profiler_bottlenecks import NO_GPU
from diagnose.profiler_data import SNAPSHOT_S, Floats, Profile, Series, mean_over
from diagnose.profiler_result import (
    SCAN_US,
    Details,
    Result,
    answer,
    box,
    scan_counts,
    too_few,
    without_data,
)


@dataclass(frozen=True)
class GPUMemoryIncrease:
    """The rule's parameters. increase: percentage points."""

    increase: float = 10
    patience: int = 100
    window: int = 500
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class LowGPUUtilization:
    """The rule's parameters. The thresholds are of percentiles of use."""

    threshold_p95: float = 70
    threshold_p5: float = 10
    window: int = 500
    patience: int = 1000
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class BatchSize:
    """The rule's parameters. The thresholds are of the 95th percentiles of use."""

    cpu_threshold_p95: float = 70
    gpu_threshold_p95: float = 70
    gpu_memory_threshold_p95: float = 70
    patience: int = 100
    window: int = 500
    scan_interval_us: int = SCAN_US


def gpu_memory_increase(profile: Profile, parameters: GPUMemoryIncrease) -> Result:
    """Fires when a GPU's used memory rises by more than `increase` points between two windows.

    The means of a window and of the window before it are compared. SageMaker's old code compared
    windows one measurement apart, which at 500 measurements can differ by 0.2 points at most; this
    is the comparison that its documentation describes. The first `patience` measurements, in which
    a training fills the memory, do not count.
    """
    series = profile.metrics("GPUMemoryUtilization")
    if not series:
        return without_data(parameters, NO_GPU)
    triggered = 0
    violations = 0
    most = 0.0
    details: Details = {}
    for gpu in series:
        rises = _rises(gpu.values, parameters)
        if not len(rises):
            continue
        increase = rises.max()
        most = max(most, increase)
        if increase > parameters.increase:
            violations += 1
            figures = {"increase": increase, "gpu_max": gpu.values.max(), **box(gpu.values)}
            details.setdefault(gpu.node, {})[gpu.name] = figures
        triggered += _fired_scans(gpu, rises, profile.bounds()[0], parameters)
    datapoints = max(len(gpu.times) for gpu in series)
    window = parameters.window
    return answer(
        parameters,
        details,
        triggered=triggered,
        violations=violations,
        datapoints=datapoints,
        finding=f"Used GPU memory rose by at most {most:.1f} points from one window of {window} "
        "measurements to the next.",
        not_evaluated=too_few(datapoints, parameters.patience + 2 * window - 1),
    )


def _rises(values: Floats, parameters: GPUMemoryIncrease) -> Floats:
    """The mean of each window less that of the window before it; empty without two windows."""
    window = parameters.window
    sums = np.concatenate([[0.0], np.cumsum(values[parameters.patience :])])
    if len(sums) <= 2 * window:
        return np.zeros(0)
    newer = sums[2 * window :] - sums[window:-window]
    older = sums[window:-window] - sums[: -2 * window]
    rises: Floats = (newer - older) / window
    return rises


def _fired_scans(gpu: Series, rises: Floats, start: float, parameters: GPUMemoryIncrease) -> int:
    """How many scans see a new rise above the limit. start: of the profile."""
    counts = scan_counts(gpu.times, start, parameters.scan_interval_us)
    unused = parameters.patience + 2 * parameters.window - 1  # measurements before the first rise
    triggered = 0
    seen = 0
    for end in np.maximum(counts - unused, 0):
        triggered += bool((rises[seen:end] > parameters.increase).any())
        seen = end
    return triggered


def low_gpu_utilization(profile: Profile, parameters: LowGPUUtilization) -> Result:
    """Fires for a GPU that is used little, or whose use goes up and down.

    In its last window the 95th percentile lies below threshold_p95, or above it while the 5th lies
    below threshold_p5.
    """
    series = profile.metrics("GPUUtilization")
    if not series:
        return without_data(parameters, NO_GPU)
    triggered = 0
    details: Details = {}
    words = []
    for gpu in series:
        for count in scan_counts(gpu.times, profile.bounds()[0], parameters.scan_interval_us):
            if count <= parameters.patience:
                continue
            seen = gpu.values[max(0, count - parameters.window) : count]
            p5, p95 = np.quantile(seen, [0.05, 0.95])
            if _is_low(p5, p95, parameters):
                triggered += 1
                figures = {"gpu_95": p95, "gpu_5": p5, **box(gpu.values)}
                details.setdefault(gpu.node, {})[gpu.name] = figures
        p5, p50, p95 = np.quantile(gpu.values[-parameters.window :], [0.05, 0.5, 0.95])
        words.append(
            f"{gpu.node} {gpu.name}: median {p50:.0f} %, 5th percentile {p5:.0f} %, "
            f"95th {p95:.0f} %"
        )
    datapoints = max(len(gpu.times) for gpu in series)
    return answer(
        parameters,
        details,
        triggered=triggered,
        violations=triggered,
        datapoints=datapoints,
        finding="; ".join(words) + ".",
        not_evaluated=too_few(datapoints, parameters.patience),
    )


def _is_low(p5: float, p95: float, parameters: LowGPUUtilization) -> bool:
    if p95 < parameters.threshold_p95:
        return True
    return p95 > parameters.threshold_p95 and p5 < parameters.threshold_p5


@dataclass(frozen=True)
class _Usage:
    """A GPU, its memory, and the mean core of its node."""

    node: str
    gpu: Series
    memory: Series
    cpu_times: Floats
    cpu: Floats

    def rows(self) -> list[tuple[Floats, Floats]]:
        """Times and values of the mean core, the GPU and its memory."""
        return [
            (self.cpu_times, self.cpu),
            (self.gpu.times, self.gpu.values),
            (self.memory.times, self.memory.values),
        ]

    def boxes(self) -> Details:
        return {
            "cpu": box(self.cpu),
            self.gpu.name: box(self.gpu.values),
            f"{self.gpu.name}_memory": box(self.memory.values),
        }


def batch_size(profile: Profile, parameters: BatchSize) -> Result:
    """Fires for a GPU when over the last window the machine is used little in all its parts.

    The 95th percentiles of the mean core, the GPU and its memory all lie below their thresholds.
    """
    if not profile.metrics("GPUUtilization"):
        return without_data(parameters, NO_GPU)
    triggered = 0
    datapoints = 0
    details: Details = {}
    words = []
    for usage in _usages(profile):
        datapoints = max(datapoints, len(usage.cpu))
        fired = _low_scans(usage, profile.bounds()[0], parameters)
        triggered += fired
        if fired:
            details.setdefault(usage.node, {}).update(usage.boxes())
        cpu, gpu, memory = _tops([values for _, values in usage.rows()], parameters.window)
        words.append(
            f"{usage.node} {usage.gpu.name}: 95th percentile of CPU {cpu:.0f} %, "
            f"GPU {gpu:.0f} %, GPU memory {memory:.0f} %"
        )
    return answer(
        parameters,
        details,
        triggered=triggered,
        violations=triggered,
        datapoints=datapoints,
        finding="; ".join(words) + ".",
        not_evaluated=too_few(datapoints, max(parameters.window, parameters.patience)),
    )


def _usages(profile: Profile) -> Iterator[_Usage]:
    memories = {
        (series.node, series.name): series for series in profile.metrics("GPUMemoryUtilization")
    }
    for gpu in profile.metrics("GPUUtilization"):
        memory = memories.get((gpu.node, gpu.name))
        if memory is not None:
            cpu_times, cpu = mean_over(profile.metrics("CPUUtilization", node=gpu.node))
            yield _Usage(gpu.node, gpu, memory, cpu_times, cpu)


def _low_scans(usage: _Usage, start: float, parameters: BatchSize) -> int:
    """How many scans see all three below their thresholds. start: of the profile."""
    needed = max(parameters.window, parameters.patience)
    limits = [
        parameters.cpu_threshold_p95,
        parameters.gpu_threshold_p95,
        parameters.gpu_memory_threshold_p95,
    ]
    fired = 0
    for count in scan_counts(usage.cpu_times, start, parameters.scan_interval_us):
        until = usage.cpu_times[count - 1] + SNAPSHOT_S
        seen = [
            values[: np.searchsorted(times, until, side="right")] for times, values in usage.rows()
        ]
        if min(map(len, seen)) > needed:
            tops = _tops(seen, parameters.window)
            fired += all(top < limit for top, limit in zip(tops, limits, strict=True))
    return fired


def _tops(rows: list[Floats], window: int) -> list[float]:
    """The 95th percentile of the last window of each; 0 where nothing was measured."""
    return [_top(row[-window:]) for row in rows]


def _top(values: Floats) -> float:
    if not len(values):
        return 0.0
    return float(np.quantile(values, 0.95))
