"""Profiler rules on the data loaders, and on where the training's time went.

By SageMaker's definitions and with its documented defaults.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from diagnose.profiler_data import STEP, Floats, Ints, Operator, Profile, Spans
from diagnose.profiler_result import (
    SCAN_US,
    Details,
    Result,
    answer,
    box,
    without_data,
)
from diagnose.profiler_steps import NO_SPANS, WAITS, data_wait_share

WORKERS = ("DataLoaderWorker",)  # phases of processes, or threads, that load
LONGEST_S = 86400  # of one loading, in the count of loaders: a damaged end must not fill memory
TOP_OPERATORS = 20
DEVICES: dict[str, Literal["cpu_us", "gpu_us"]] = {"CPU": "cpu_us", "GPU": "gpu_us"}


@dataclass(frozen=True)
class Dataloader:
    """The rule's parameters. The thresholds are percent of the cores; patience: seconds.

    least_wait: percent of the steps' time that they must wait for data for the rule to fire at all;
    most_wait: percent with which it fires, whatever the number of loaders. 0 and 100 make it
    SageMaker's rule, which does not ask how long the steps wait.
    """

    min_threshold: float = 70
    max_threshold: float = 200
    patience: int = 10
    least_wait: float = 20
    most_wait: float = 50
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class OverallFrameworkMetrics:
    """The rule's parameters."""

    scan_interval_us: int = SCAN_US


def dataloader(profile: Profile, parameters: Dataloader) -> Result:
    """Fires when too few or too many loaders are at work in the median second, and steps wait.

    Below min_threshold % or above max_threshold % of the cores, and while the steps wait for
    least_wait % of their time; or where they wait for most_wait %. Loaders are the processes, or
    threads, that recorded work; the waiting training itself where no loader recorded any.
    """
    loaders = _loaders(profile)
    cores = _cores(profile)
    if not loaders:
        return without_data(parameters, "no data loading was recorded")
    if not cores:
        return without_data(parameters, "no cores were measured")
    counts = _counts(loaders)
    durations = np.concatenate([spans.durations for spans in loaders])
    median = float(np.median(counts))
    fewest = cores * parameters.min_threshold / 100
    most = cores * parameters.max_threshold / 100
    enough = len(counts) > parameters.patience
    waiting = data_wait_share(profile)
    fires = int(enough and _is_slow(waiting, fewest <= median <= most, parameters))
    times = _time_details(durations)
    details = {"cores": cores, "dataloaders": median, "dataloading_time": times}
    finding = f"In the median second {median:g} loaders were at work on {cores} cores."
    if waiting is not None:
        finding += f" Waiting for data took {100 * waiting:.0f} % of the steps' time."
    reason = (
        f"{len(counts)} seconds of data loading are not more than the {parameters.patience} "
        "that it waits for"
    )
    return answer(
        parameters,
        details,
        digits=6,
        triggered=fires,
        violations=fires,
        datapoints=len(durations),
        finding=finding,
        not_evaluated="" if enough else reason,
    )


def _is_slow(waiting: float | None, suits: bool, parameters: Dataloader) -> bool:
    """Whether loading holds up the steps. suits: there are as many loaders as suit the cores.

    waiting: the share of the steps' time; None where it was not recorded.
    """
    if waiting is None:
        return not suits
    percent = 100 * waiting
    if percent < parameters.least_wait:
        return False
    return not suits or percent >= parameters.most_wait


def _time_details(durations: Floats) -> Details:
    """A box plot's figures and a histogram, as SageMaker's rule writes them."""
    probs, edges = np.histogram(durations, bins=100)
    return {**box(durations), "probs": probs, "binedges": edges}


def _loaders(profile: Profile) -> list[Spans]:
    workers = [spans for spans in profile.spans if spans.phase in WORKERS]
    return workers or [spans for spans in profile.spans if spans.phase in WAITS]


def _cores(profile: Profile) -> int:
    """The cores of one node."""
    cores = {(series.node, series.name) for series in profile.metrics("CPUUtilization")}
    return len(cores) // max(1, len(profile.nodes))


def _counts(loaders: list[Spans]) -> Ints:
    """Loaders at work in each second, of one worker after the other."""
    workers = sorted({spans.worker for spans in loaders})
    counts = []
    for worker in workers:
        own = [spans for spans in loaders if spans.worker == worker]
        counts.append(_loaders_per_second(own))
    return np.concatenate(counts)


def _loaders_per_second(loaders: list[Spans]) -> Ints:
    """How many different loaders were at work, in each second in which any was: [seconds]."""
    starts = np.concatenate([np.floor(spans.starts) for spans in loaders])
    ends = np.concatenate([np.floor(spans.ends) for spans in loaders])
    pids = np.concatenate([spans.pids for spans in loaders])
    # a row for each second that a loading touches
    lengths = np.minimum(ends - starts, LONGEST_S).astype(np.int64) + 1
    first_rows = np.cumsum(lengths) - lengths
    within = np.arange(lengths.sum()) - np.repeat(first_rows, lengths)
    seconds = np.repeat(starts.astype(np.int64), lengths) + within
    # a loader counts once per second
    pairs = np.unique(np.stack([seconds, np.repeat(pids, lengths)]), axis=1)
    counts: Ints = np.unique(pairs[0], return_counts=True)[1]
    return counts


def overall_framework_metrics(profile: Profile, parameters: OverallFrameworkMetrics) -> Result:
    """Never fires: shares, in percent, of the modes, the passes, all phases, and the operators."""
    if not profile.spans:
        return without_data(parameters, NO_SPANS)
    steps: dict[str, float] = {}  # seconds by phase
    phases: dict[str, float] = {}
    for spans in profile.spans:
        is_step = spans.phase.startswith(STEP) or spans.name.startswith(STEP)
        times = steps if is_step else phases
        times[spans.phase] = times.get(spans.phase, 0.0) + spans.durations.sum()
    others = max(0.0, _worker_seconds(profile) - sum(steps.values()))
    details: Details = {
        "phase": _percent(steps | {"others": others}),
        "phase_time": steps,
        "general": _percent(phases),
    }
    passes = {f"{name} pass": phases[name] for name in ("Forward", "Backward") if name in phases}
    if len(passes) == 2:
        details["forward_backward"] = _percent(passes)
    details |= _operator_details(profile.operators)
    return answer(
        parameters,
        details,
        datapoints=sum(len(spans.starts) for spans in profile.spans),
    )


def _worker_seconds(profile: Profile) -> float:
    """The time from the first span to the end of the last, of all workers together."""
    workers = {spans.worker for spans in profile.steps()}  # none in a profile without steps
    first = min(spans.starts[0] for spans in profile.spans)
    last = max(spans.ends.max() for spans in profile.spans)
    return float(last - first) * (len(workers) or 1)


def _operator_details(operators: tuple[Operator, ...]) -> Details:
    """For each device the operators that took the most time; and the shares of the devices."""
    details: Details = {}
    totals: dict[str, float] = {}
    for device, key in DEVICES.items():
        times = {row["name"]: row[key] for row in operators if row[key] > 0}
        totals[device] = sum(row[key] for row in operators)
        if not times:
            continue
        longest = sorted(times.items(), key=lambda entry: -entry[1])
        top = dict(longest[:TOP_OPERATORS])
        shares = _percent(times)
        details[device] = {name: share for name, share in shares.items() if name in top}
        details[f"{device}_total"] = top
    details["ratio"] = _percent(totals)
    return details


def _percent(times: dict[str, float]) -> dict[str, float]:
    total = sum(times.values())
    if not total:
        return {}
    return {name: 100 * seconds / total for name, seconds in times.items()}
