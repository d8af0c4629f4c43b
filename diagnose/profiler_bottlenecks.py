"""Profiler rules on GPUs that idle while processor cores are busy, or wait for I/O.

By SageMaker's definitions and with its documented defaults. Percentages are 0..100; patience counts
moments.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diagnose.profiler_data import Floats, Ints, Profile, group_moments
from diagnose.profiler_result import (
    SCAN_US,
    Details,
    Result,
    answer,
    scan_counts,
    too_few,
    without_data,
)

NO_GPU = "no GPU was measured"


@dataclass(frozen=True)
class CPUBottleneck:
    """The rule's parameters. threshold: percent of the moments; the others: percent of use."""

    threshold: float = 50
    gpu_threshold: float = 10
    cpu_threshold: float = 90
    patience: int = 100
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class IOBottleneck:
    """The rule's parameters. threshold: percent of the moments; the others: percent of use."""

    threshold: float = 50
    gpu_threshold: float = 70
    io_threshold: float = 50
    patience: int = 1000
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class Moments:
    """The moments of one node, [N] each: how many GPUs lie below their limit, and cores above."""

    times: Floats
    idle_gpus: Ints
    busy_cores: Ints

    @property
    def both(self) -> NDArray[np.bool_]:
        """The moments at which an idle GPU met a busy core: [N]."""
        return (self.idle_gpus > 0) & (self.busy_cores > 0)


def cpu_bottleneck(profile: Profile, parameters: CPUBottleneck) -> Result:
    """Fires when in too many moments a GPU was idle and a core was busy.

    These are more than threshold %, with a GPU below gpu_threshold and a core above cpu_threshold.
    """
    limit = parameters.cpu_threshold
    return _bottleneck(profile, parameters, "CPUUtilization", limit, "a busy core")


def io_bottleneck(profile: Profile, parameters: IOBottleneck) -> Result:
    """Fires when in too many moments a GPU was idle and a core was waiting for I/O.

    These are more than threshold %, with a GPU below gpu_threshold and a core above io_threshold.
    """
    limit = parameters.io_threshold
    return _bottleneck(profile, parameters, "I/OWaitPercentage", limit, "a core waiting for I/O")


def _bottleneck(
    profile: Profile,
    parameters: CPUBottleneck | IOBottleneck,
    dimension: str,
    limit: float,
    words: str,
) -> Result:
    """dimension and limit: of the cores; words: the cores above it, for the finding."""
    if not profile.metrics("GPUUtilization"):
        return without_data(parameters, NO_GPU)
    triggered = 0
    violations = 0
    datapoints = 0
    low = 0
    details: Details = {}
    for node in profile.nodes:
        moments = _moments(profile, node, parameters.gpu_threshold, dimension, limit)
        triggered += _fired_scans(moments, profile.bounds()[0], parameters)
        violations += int(moments.both.sum())
        datapoints += len(moments.times)
        low += int((moments.idle_gpus > 0).sum())
        details |= _violations(moments)
    details["low_gpu_utilization"] = low
    share = 100 * violations / max(datapoints, 1)
    return answer(
        parameters,
        details,
        triggered=triggered,
        violations=violations,
        datapoints=datapoints,
        finding=f"In {violations} of {datapoints} moments ({share:.0f} %) a GPU below "
        f"{parameters.gpu_threshold:g} % met {words} above {limit:g} %.",
        not_evaluated=too_few(datapoints, parameters.patience),
    )


def _fired_scans(moments: Moments, start: float, parameters: CPUBottleneck | IOBottleneck) -> int:
    """How many scans see a share of violations above the threshold. start: of the profile."""
    hits = np.concatenate([[0], np.cumsum(moments.both)])
    counts = scan_counts(moments.times, start, parameters.scan_interval_us)
    counts = counts[counts > parameters.patience]
    return int((100 * hits[counts] / counts > parameters.threshold).sum())


def _violations(moments: Moments) -> Details:
    """By time: how many GPUs and cores were beyond their limits."""
    return {
        f"{moments.times[index]:.6f}": {
            "GPUs": moments.idle_gpus[index],
            "CPUs": moments.busy_cores[index],
        }
        for index in np.flatnonzero(moments.both)
    }


def _moments(profile: Profile, node: str, below: float, dimension: str, above: float) -> Moments:
    gpus = profile.metrics("GPUUtilization", node=node)
    cores = profile.metrics(dimension, node=node)
    if not gpus and not cores:
        return Moments(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
    times = np.concatenate([series.times for series in [*gpus, *cores]])
    # a GPU's measurements count as no core's, and the other way round
    low: list[NDArray[np.bool_]] = [series.values < below for series in gpus]
    low += [np.zeros(len(series.times), bool) for series in cores]
    high: list[NDArray[np.bool_]] = [np.zeros(len(series.times), bool) for series in gpus]
    high += [series.values > above for series in cores]
    order, moment = group_moments(times)
    first = np.flatnonzero(np.diff(moment, prepend=-1))  # measurement of each moment
    return Moments(
        times=times[order][first],
        idle_gpus=np.bincount(moment, np.concatenate(low)[order]).astype(np.int64),
        busy_cores=np.bincount(moment, np.concatenate(high)[order]).astype(np.int64),
    )
