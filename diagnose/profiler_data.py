"""A profile in memory: metrics of the machine and spans of the training.

It does not know where they come from; diagnose/profiler_reader.py reads them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

# Metrics so near to each other are of one moment: SageMaker's threads wake up apart.
SNAPSHOT_S = 0.02
STEP = "Step:ModeKeys."  # prefix of a whole step's span, before TRAIN or EVAL

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ProfileError(ValueError):
    """A profile that cannot be evaluated; one sentence for the user."""


class Operator(TypedDict):
    """The time of its own that an operator took in the traced steps, on each device."""

    name: str
    count: int
    cpu_us: float
    gpu_us: float


@dataclass(frozen=True)
class Series:
    """One metric over time. times: [N], seconds since the epoch, rising; values: [N]."""

    node: str
    type: str
    name: str
    dimension: str
    times: Floats
    values: Floats


@dataclass(frozen=True)
class Spans:
    """The spans of one name on one worker, by their start.

    starts and durations: [N], seconds. steps: [N], -1 where a span belongs to no step.
    """

    worker: str
    phase: str
    name: str
    starts: Floats
    durations: Floats
    steps: Ints
    pids: Ints

    @property
    def ends(self) -> Floats:
        """When each span ended: [N], seconds since the epoch."""
        return self.starts + self.durations


@dataclass(frozen=True)
class Profile:
    """All that was found.

    framework: the training recorded spans, or was about to. notes: sentences on files that could
    not be read.
    """

    folder: Path
    series: tuple[Series, ...]
    spans: tuple[Spans, ...]
    operators: tuple[Operator, ...] = ()
    framework: bool = True
    notes: tuple[str, ...] = ()

    def metrics(
        self, dimension: str = "", type: str = "", name: str = "", node: str = ""
    ) -> list[Series]:
        """The series of a dimension, a type, a name, a node; sorted by node and name."""
        return [
            series
            for series in self.series
            if dimension in ("", series.dimension)
            and type in ("", series.type)
            and name in ("", series.name)
            and node in ("", series.node)
        ]

    def steps(self, mode: str = "") -> list[Spans]:
        """The spans of whole steps, of all modes or one (`TRAIN`, `EVAL`)."""
        steps = [spans for spans in self.spans if spans.name.startswith(STEP)]
        return [spans for spans in steps if mode in ("", spans.name.removeprefix(STEP))]

    def bounds(self) -> tuple[float, float]:
        """The first measurement and the last end, seconds since the epoch."""
        starts = [series.times[0] for series in self.series]
        starts += [spans.starts[0] for spans in self.spans]
        ends = [series.times[-1] for series in self.series]
        ends += [spans.ends.max() for spans in self.spans]
        return min(starts), max(ends)

    def loop_bounds(self) -> tuple[float, float] | None:
        """The start of the first step and the end of the last; None without steps."""
        steps = self.steps()
        if not steps:
            return None
        first = min(spans.starts[0] for spans in steps)
        last = max(spans.ends.max() for spans in steps)
        return first, last

    @property
    def nodes(self) -> list[str]:
        """The names of the machines."""
        return sorted({series.node for series in self.series})


def group_moments(times: Floats) -> tuple[Ints, Ints]:
    """The order that sorts times [N], N > 0, and the number of the moment of each, so sorted.

    A moment is a row of times that follow each other within SNAPSHOT_S.
    """
    order = np.argsort(times, kind="stable")
    begins = np.diff(times[order]) > SNAPSHOT_S
    moment = np.concatenate([[0], np.cumsum(begins)])
    return order, moment.astype(np.int64)


def mean_over(series: list[Series]) -> tuple[Floats, Floats]:
    """Times and mean of several series of one node, moment by moment: [moments] each.

    Such are all its cores, or all its GPUs.
    """
    if not series:
        return np.zeros(0), np.zeros(0)
    times = np.concatenate([entry.times for entry in series])
    values = np.concatenate([entry.values for entry in series])
    order, moment = group_moments(times)
    counts = np.bincount(moment)
    mean_times = np.bincount(moment, times[order]) / counts
    return mean_times, np.bincount(moment, values[order]) / counts
