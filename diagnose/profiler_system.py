"""The rules over the machine's metrics, by SageMaker's definitions and with its documented defaults.

Each is a pure function of the profile and its parameters. Percentages are 0..100; patience and window count measurements.
Rules about GPUs say nothing of a training without one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diagnose.profiler_data import SNAPSHOT_S, Profile, Series
from diagnose.profiler_result import SCAN_US, Result, box, format_parameters, rounded, scan_counts

NO_GPU = "no GPU was measured"
BINS = np.arange(0, 102, 2)


@dataclass(frozen=True)
class CPUBottleneck:
    threshold: float = 50
    gpu_threshold: float = 10
    cpu_threshold: float = 90
    patience: int = 100
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class IOBottleneck:
    threshold: float = 50
    gpu_threshold: float = 70
    io_threshold: float = 50
    patience: int = 1000
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class GPUMemoryIncrease:
    increase: float = 10
    patience: int = 100
    window: int = 500
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class LowGPUUtilization:
    threshold_p95: float = 70
    threshold_p5: float = 10
    window: int = 500
    patience: int = 1000
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class BatchSize:
    cpu_threshold_p95: float = 70
    gpu_threshold_p95: float = 70
    gpu_memory_threshold_p95: float = 70
    patience: int = 100
    window: int = 500
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class LoadBalancing:
    threshold: float = 0.5
    patience: int = 10
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class OverallSystemUsage:
    scan_interval_us: int = SCAN_US


def cpu_bottleneck(profile: Profile, parameters: CPUBottleneck) -> Result:
    """Fires when, of the moments, more than threshold % had a GPU below gpu_threshold and a core above cpu_threshold."""
    return _bottleneck(
        "CPUBottleneck",
        profile,
        parameters,
        "CPUUtilization",
        parameters.cpu_threshold,
        "a busy core",
    )


def io_bottleneck(profile: Profile, parameters: IOBottleneck) -> Result:
    """Fires when, of the moments, more than threshold % had a GPU below gpu_threshold and a core above io_threshold waiting for I/O."""
    return _bottleneck(
        "IOBottleneck",
        profile,
        parameters,
        "I/OWaitPercentage",
        parameters.io_threshold,
        "a core waiting for I/O",
    )


def _bottleneck(
    rule: str, profile: Profile, parameters, dimension: str, limit: float, words: str
) -> Result:
    gpus = profile.metrics("GPUUtilization")
    if not gpus:
        return Result(rule, parameters=format_parameters(parameters), not_evaluated=NO_GPU)
    triggered = violations = datapoints = low = 0
    details = {}
    for node in profile.nodes:
        times, idle, busy = _moments(
            [series for series in gpus if series.node == node],
            parameters.gpu_threshold,
            [series for series in profile.metrics(dimension) if series.node == node],
            limit,
        )
        both = (idle > 0) & (busy > 0)
        hits = np.concatenate([[0], np.cumsum(both)])
        for count in scan_counts(times, profile.bounds()[0], parameters.scan_interval_us):
            triggered += (
                count > parameters.patience and 100 * hits[count] / count > parameters.threshold
            )
        datapoints, violations, low = (
            datapoints + len(times),
            violations + int(hits[-1]),
            low + int((idle > 0).sum()),
        )
        details |= {
            f"{times[index]:.6f}": {"GPUs": idle[index], "CPUs": busy[index]}
            for index in np.flatnonzero(both)
        }
    details["low_gpu_utilization"] = low
    share = 100 * violations / max(datapoints, 1)
    finding = f"In {violations} of {datapoints} moments ({share:.0f} %) a GPU below {parameters.gpu_threshold:g} % met {words} above {limit:g} %."
    return Result(
        rule,
        int(triggered),
        violations,
        datapoints,
        rounded(details),
        format_parameters(parameters),
        finding,
        "" if datapoints > parameters.patience else _too_few(datapoints, parameters.patience),
    )


def _too_few(datapoints: int, needed: int) -> str:
    return f"{datapoints} measurements are not more than the {needed} that it waits for"


def _moments(
    gpus: list[Series], below: float, cores: list[Series], above: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The moments of one node, and at each how many GPUs lie below and how many cores above their limit: [N] each."""
    times = np.concatenate([series.times for series in [*gpus, *cores]] or [np.zeros(0)])
    if not len(times):
        return times, np.zeros(0, int), np.zeros(0, int)
    low = np.concatenate(
        [
            *(series.values < below for series in gpus),
            *(np.zeros(len(series.times), bool) for series in cores),
        ]
    )
    high = np.concatenate(
        [
            *(np.zeros(len(series.times), bool) for series in gpus),
            *(series.values > above for series in cores),
        ]
    )
    order = np.argsort(times, kind="stable")
    moment = np.concatenate([[0], np.cumsum(np.diff(times[order]) > SNAPSHOT_S)])
    starts = np.flatnonzero(np.concatenate([[True], np.diff(moment) > 0]))
    return (
        times[order][starts],
        np.bincount(moment, low[order]).astype(int),
        np.bincount(moment, high[order]).astype(int),
    )


def gpu_memory_increase(profile: Profile, parameters: GPUMemoryIncrease) -> Result:
    """Fires when a GPU's used memory, averaged over a window, lies more than `increase` points above the window before it.

    SageMaker's old code compared windows one measurement apart, which at 500 measurements can differ by 0.2 points at most;
    this is the comparison its documentation describes. The first `patience` measurements, in which a training fills the memory, do not count.
    """
    series = profile.metrics("GPUMemoryUtilization")
    if not series:
        return Result(
            "GPUMemoryIncrease", parameters=format_parameters(parameters), not_evaluated=NO_GPU
        )
    triggered, details, most, window = 0, {}, 0.0, parameters.window
    for gpu in series:
        sums = np.concatenate([[0.0], np.cumsum(gpu.values[parameters.patience :])])
        if len(sums) <= 2 * window:
            continue
        rises = (sums[2 * window :] - 2 * sums[window:-window] + sums[: -2 * window]) / window
        if rises.max() > parameters.increase:
            details.setdefault(gpu.node, {})[gpu.name] = {
                "increase": rises.max(),
                "gpu_max": gpu.values.max(),
                **box(gpu.values),
            }
        most = max(most, rises.max())
        ends = np.maximum(
            scan_counts(gpu.times, profile.bounds()[0], parameters.scan_interval_us)
            - parameters.patience
            - 2 * window
            + 1,
            0,
        )
        triggered += sum(
            bool((rises[before:end] > parameters.increase).any())
            for before, end in zip([0, *ends], ends)
        )
    needed = parameters.patience + 2 * window - 1
    datapoints = max(len(gpu.times) for gpu in series)
    finding = f"Used GPU memory rose by at most {most:.1f} points from one window of {window} measurements to the next."
    return Result(
        "GPUMemoryIncrease",
        int(triggered),
        sum(len(gpus) for gpus in details.values()),
        datapoints,
        rounded(details),
        format_parameters(parameters),
        finding,
        "" if datapoints > needed else _too_few(datapoints, needed),
    )


def low_gpu_utilization(profile: Profile, parameters: LowGPUUtilization) -> Result:
    """Fires for a GPU whose last window has its 95th percentile below threshold_p95, or above it and its 5th below threshold_p5."""
    series = profile.metrics("GPUUtilization")
    if not series:
        return Result(
            "LowGPUUtilization", parameters=format_parameters(parameters), not_evaluated=NO_GPU
        )
    triggered, details, words = 0, {}, []
    for gpu in series:
        for count in scan_counts(gpu.times, profile.bounds()[0], parameters.scan_interval_us):
            if count <= parameters.patience:
                continue
            p5, p95 = np.quantile(
                gpu.values[max(0, count - parameters.window) : count], [0.05, 0.95]
            )
            if p95 < parameters.threshold_p95 or (
                p95 > parameters.threshold_p95 and p5 < parameters.threshold_p5
            ):
                triggered += 1
                details.setdefault(gpu.node, {})[gpu.name] = {
                    "gpu_95": p95,
                    "gpu_5": p5,
                    **box(gpu.values),
                }
        p5, p50, p95 = np.quantile(gpu.values[-parameters.window :], [0.05, 0.5, 0.95])
        words.append(
            f"{gpu.node} {gpu.name}: median {p50:.0f} %, 5th percentile {p5:.0f} %, 95th {p95:.0f} %"
        )
    datapoints = max(len(gpu.times) for gpu in series)
    return Result(
        "LowGPUUtilization",
        triggered,
        triggered,
        datapoints,
        rounded(details),
        format_parameters(parameters),
        "; ".join(words) + ".",
        "" if datapoints > parameters.patience else _too_few(datapoints, parameters.patience),
    )


def batch_size(profile: Profile, parameters: BatchSize) -> Result:
    """Fires for a GPU when over the last window the 95th percentiles of the mean core, the GPU and its memory all lie below theirs."""
    if not profile.metrics("GPUUtilization"):
        return Result("BatchSize", parameters=format_parameters(parameters), not_evaluated=NO_GPU)
    triggered, details, words, datapoints = 0, {}, [], 0
    needed = max(parameters.window, parameters.patience)
    for node, gpu, memory in _gpus(profile):
        cpu_times, cpu = mean_over(
            [series for series in profile.metrics("CPUUtilization") if series.node == node]
        )
        datapoints = max(datapoints, len(cpu))
        for count in scan_counts(cpu_times, profile.bounds()[0], parameters.scan_interval_us):
            until = cpu_times[count - 1] + SNAPSHOT_S
            parts = [
                values[: np.searchsorted(times, until, side="right")]
                for times, values in (
                    (cpu_times, cpu),
                    (gpu.times, gpu.values),
                    (memory.times, memory.values),
                )
            ]
            if min(map(len, parts)) <= needed:
                continue
            tops = [np.quantile(part[-parameters.window :], 0.95) for part in parts]
            limits = (
                parameters.cpu_threshold_p95,
                parameters.gpu_threshold_p95,
                parameters.gpu_memory_threshold_p95,
            )
            if all(top < limit for top, limit in zip(tops, limits)):
                triggered += 1
                details.setdefault(node, {}).update(
                    {
                        "cpu": box(cpu),
                        gpu.name: box(gpu.values),
                        f"{gpu.name}_memory": box(memory.values),
                    }
                )
        tops = [
            np.quantile(values[-parameters.window :], 0.95) if len(values) else 0.0
            for values in (cpu, gpu.values, memory.values)
        ]
        words.append(
            f"{node} {gpu.name}: 95th percentile of CPU {tops[0]:.0f} %, GPU {tops[1]:.0f} %, GPU memory {tops[2]:.0f} %"
        )
    return Result(
        "BatchSize",
        triggered,
        triggered,
        datapoints,
        rounded(details),
        format_parameters(parameters),
        "; ".join(words) + ".",
        "" if datapoints > needed else _too_few(datapoints, needed),
    )


def _gpus(profile: Profile) -> Iterator[tuple[str, Series, Series]]:
    memories = {
        (series.node, series.name): series for series in profile.metrics("GPUMemoryUtilization")
    }
    for gpu in profile.metrics("GPUUtilization"):
        if (gpu.node, gpu.name) in memories:
            yield gpu.node, gpu, memories[gpu.node, gpu.name]


def mean_over(series: list[Series]) -> tuple[np.ndarray, np.ndarray]:
    """Times and mean of several series of one node (all its cores, all its GPUs), moment by moment: float64 [N] each."""
    if not series:
        return np.zeros(0), np.zeros(0)
    times, values = (
        np.concatenate([entry.times for entry in series]),
        np.concatenate([entry.values for entry in series]),
    )
    order = np.argsort(times, kind="stable")
    moment = np.concatenate([[0], np.cumsum(np.diff(times[order]) > SNAPSHOT_S)])
    counts = np.bincount(moment)
    return np.bincount(moment, times[order]) / counts, np.bincount(moment, values[order]) / counts


def load_balancing(profile: Profile, parameters: LoadBalancing) -> Result:
    """Fires for two GPUs of a node when the distance (Jensen-Shannon, 0 to 0.83) between the histograms of their use is above threshold."""
    series = profile.metrics("GPUUtilization")
    pairs = [
        (one, other)
        for index, one in enumerate(series)
        for other in series[index + 1 :]
        if one.node == other.node
    ]
    if not pairs:
        return Result(
            "LoadBalancing",
            parameters=format_parameters(parameters),
            not_evaluated="there are no two GPUs on one node to compare" if series else NO_GPU,
        )
    triggered = violations = 0
    details, farthest, start = {}, 0.0, profile.bounds()[0]
    for one, other in pairs:
        shares = [np.histogram(gpu.values, BINS)[0] for gpu in (one, other)]
        counts = scan_counts(one.times, start, parameters.scan_interval_us)
        for count, *seen in zip(counts, *(_growing(gpu.values, counts) for gpu in (one, other))):
            triggered += (
                min(count, len(other.times)) > parameters.patience
                and jensen_shannon(*seen) > parameters.threshold
            )
        distance = jensen_shannon(*shares)
        farthest = max(farthest, distance)
        if (
            distance > parameters.threshold
            and min(len(one.times), len(other.times)) > parameters.patience
        ):
            violations += 1
            node = details.setdefault(one.node, {"workloads": {}, "distances": {}})
            node["workloads"] |= {one.name: shares[0], other.name: shares[1]}
            node["distances"].setdefault(one.name, {})[other.name] = distance
    datapoints = max(len(gpu.times) for gpu in series)
    return Result(
        "LoadBalancing",
        int(triggered),
        violations,
        datapoints,
        rounded(details),
        format_parameters(parameters),
        f"The greatest distance between two GPUs of a node is {farthest:.2f}; from {parameters.threshold:g} on they are loaded unequally.",
        "" if datapoints > parameters.patience else _too_few(datapoints, parameters.patience),
    )


def _growing(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The histograms of the first so many values, for rising counts: int64 [counts, bins]."""
    return np.cumsum(
        [np.histogram(values[begin:end], BINS)[0] for begin, end in zip([0, *counts], counts)],
        axis=0,
    )


def jensen_shannon(one: np.ndarray, other: np.ndarray) -> float:
    """sqrt((KL(p, m) + KL(q, m)) / 2) in nats of two histograms [bins], m their mean: 0 for equal ones, 0.83 for those that share no bin."""
    one, other = one / max(one.sum(), 1), other / max(other.sum(), 1)
    middle = (one + other) / 2
    divergences = [
        np.sum(part[part > 0] * np.log(part[part > 0] / middle[part > 0])) for part in (one, other)
    ]
    return float(np.sqrt(max(0.0, sum(divergences) / 2)))


def overall_system_usage(profile: Profile, parameters: OverallSystemUsage) -> Result:
    """Never fires: for each node and resource its maximum, 99th, 95th, 50th percentile and minimum."""
    details, datapoints = {}, 0
    for name, series in usage(profile).items():
        for node, (_, values) in series.items():
            p99, p95, p50 = np.quantile(values, [0.99, 0.95, 0.5])
            details.setdefault(name, {})[node] = {
                "max": values.max(),
                "p99": p99,
                "p95": p95,
                "p50": p50,
                "min": values.min(),
            }
            datapoints = max(datapoints, len(values))
    return Result(
        "OverallSystemUsage",
        0,
        0,
        datapoints,
        rounded(details, 2),
        format_parameters(parameters),
        not_evaluated="" if details else "no metrics of the machine were found",
    )


def usage(profile: Profile) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Of each resource, by node, times and values: means over cores and GPUs in percent; network in bytes a second, both ways together."""
    kinds = {
        "Network": ("Algorithm", "network", ""),
        "GPU": ("GPUUtilization", "", ""),
        "CPU": ("CPUUtilization", "", ""),
        "CPU memory": ("", "", "MemoryUsedPercent"),
        "GPU memory": ("GPUMemoryUtilization", "", ""),
        "I/O": ("I/OWaitPercentage", "", ""),
    }
    found: dict[str, dict] = {}
    for kind, (dimension, type_, name) in kinds.items():
        for node in profile.nodes:
            series = [
                entry for entry in profile.metrics(dimension, type_, name) if entry.node == node
            ]
            if series:
                times, values = mean_over(series)
                found.setdefault(kind, {})[node] = (
                    times,
                    values * (len({entry.name for entry in series}) if kind == "Network" else 1),
                )
    return found
