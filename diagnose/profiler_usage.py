"""How much of each machine was used: over time, and as the rule OverallSystemUsage.

That rule is by SageMaker's definition.
"""

from dataclasses import dataclass

import numpy as np

from diagnose.profiler_data import Floats, Profile, mean_over
from diagnose.profiler_result import SCAN_US, Details, Result, answer

# resource: dimension, type and name of its metrics; empty for any
RESOURCES = {
    "Network": ("Algorithm", "network", ""),
    "GPU": ("GPUUtilization", "", ""),
    "CPU": ("CPUUtilization", "", ""),
    "CPU memory": ("", "", "MemoryUsedPercent"),
    "GPU memory": ("GPUMemoryUtilization", "", ""),
    "I/O": ("I/OWaitPercentage", "", ""),
}

Usage = dict[str, dict[str, tuple[Floats, Floats]]]  # resource to node to times and values


@dataclass(frozen=True)
class OverallSystemUsage:
    """The rule's parameters."""

    scan_interval_us: int = SCAN_US


def overall_system_usage(profile: Profile, parameters: OverallSystemUsage) -> Result:
    """Never fires: for each node and resource its maximum, percentiles and minimum."""
    details: Details = {}
    datapoints = 0
    for resource, nodes in usage(profile).items():
        for node, (_, values) in nodes.items():
            p99, p95, p50 = np.quantile(values, [0.99, 0.95, 0.5])
            details.setdefault(resource, {})[node] = {
                "max": values.max(),
                "p99": p99,
                "p95": p95,
                "p50": p50,
                "min": values.min(),
            }
            datapoints = max(datapoints, len(values))
    return answer(
        parameters,
        details,
        digits=2,
        datapoints=datapoints,
        not_evaluated="" if details else "no metrics of the machine were found",
    )


def usage(profile: Profile) -> Usage:
    """Times and values of each resource, by node.

    In percent, means over cores and over GPUs; of the network in bytes per second, both directions
    together.
    """
    found: Usage = {}
    for resource, (dimension, kind, name) in RESOURCES.items():
        for node in profile.nodes:
            series = profile.metrics(dimension, kind, name, node)
            if not series:
                continue
            times, values = mean_over(series)
            if resource == "Network":
                # back from the mean of the directions to their sum
                values = values * len({entry.name for entry in series})
            found.setdefault(resource, {})[node] = (times, values)
    return found
