"""The profiler rule on GPUs of one node that do unequal amounts of work.

By SageMaker's definition and with its documented defaults.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from diagnose.profiler_bottlenecks import NO_GPU
from diagnose.profiler_data import Floats, Ints, Profile, Series
from diagnose.profiler_result import (
    SCAN_US,
    Details,
    Result,
    answer,
    scan_counts,
    too_few,
    without_data,
)

BINS = np.arange(0, 102, 2)  # percent of use


@dataclass(frozen=True)
class LoadBalancing:
    """The rule's parameters. threshold: a distance, 0 to 0.83; patience: measurements."""

    threshold: float = 0.5
    patience: int = 10
    scan_interval_us: int = SCAN_US


def load_balancing(profile: Profile, parameters: LoadBalancing) -> Result:
    """Fires for two GPUs of a node whose histograms of use are further apart than threshold.

    The distance is that of Jensen and Shannon.
    """
    series = profile.metrics("GPUUtilization")
    pairs = [pair for pair in combinations(series, 2) if pair[0].node == pair[1].node]
    if not pairs:
        reason = "there are no two GPUs on one node to compare" if series else NO_GPU
        return without_data(parameters, reason)
    triggered = 0
    violations = 0
    farthest = 0.0
    details: Details = {}
    for one, other in pairs:
        triggered += _fired_scans(one, other, profile.bounds()[0], parameters)
        one_use = np.histogram(one.values, BINS)[0]
        other_use = np.histogram(other.values, BINS)[0]
        distance = jensen_shannon(one_use, other_use)
        farthest = max(farthest, distance)
        enough = min(len(one.times), len(other.times)) > parameters.patience
        if enough and distance > parameters.threshold:
            violations += 1
            node = details.setdefault(one.node, {"workloads": {}, "distances": {}})
            node["workloads"] |= {one.name: one_use, other.name: other_use}
            node["distances"].setdefault(one.name, {})[other.name] = distance
    datapoints = max(len(gpu.times) for gpu in series)
    return answer(
        parameters,
        details,
        triggered=triggered,
        violations=violations,
        datapoints=datapoints,
        finding=f"The greatest distance between two GPUs of a node is {farthest:.2f}; "
        f"from {parameters.threshold:g} on they are loaded unequally.",
        not_evaluated=too_few(datapoints, parameters.patience),
    )


def _fired_scans(one: Series, other: Series, start: float, parameters: LoadBalancing) -> int:
    """How many scans see a distance above the threshold. start: of the profile."""
    counts = scan_counts(one.times, start, parameters.scan_interval_us)
    one_seen = _growing(one.values, counts)
    other_seen = _growing(other.values, counts)
    triggered = 0
    for index, count in enumerate(counts):
        if min(count, len(other.times)) > parameters.patience:
            distance = jensen_shannon(one_seen[index], other_seen[index])
            triggered += distance > parameters.threshold
    return int(triggered)


def _growing(values: Floats, counts: Ints) -> Ints:
    """The histogram of the first `count` values, for each of the rising counts: [counts, bins]."""
    rows = []
    begin = 0
    for end in counts:
        rows.append(np.histogram(values[begin:end], BINS)[0])
        begin = end
    return np.cumsum(rows, axis=0)


def jensen_shannon(one: Ints, other: Ints) -> float:
    """sqrt((KL(p, m) + KL(q, m)) / 2) in nats of two histograms [bins], m their mean.

    0 for equal ones, 0.83 for those that share no bin.
    """
    p = one / max(one.sum(), 1)
    q = other / max(other.sum(), 1)
    middle = (p + q) / 2
    divergence = (_kullback_leibler(p, middle) + _kullback_leibler(q, middle)) / 2
    return float(np.sqrt(max(0.0, divergence)))  # rounding can bring it below 0


def _kullback_leibler(part: Floats, whole: Floats) -> float:
    used = part > 0
    return float(np.sum(part[used] * np.log(part[used] / whole[used])))
