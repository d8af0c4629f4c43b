"""The parts of the training's steps, and profiler rules on its steps.

The rules are by SageMaker's definitions and with its documented defaults. A managed job on
PyTorch 2 has no such spans: SageMaker's own framework profiling ended before it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diagnose.profiler_data import STEP, Floats, Profile, Spans
from diagnose.profiler_result import (
    SCAN_US,
    Details,
    Result,
    answer,
    without_data,
)

FEWEST_STEPS = 100  # below which no step is called an outlier
WAITS = ("DataLoaderIter", "DataIterator")  # phases of a training that waits for data
WAITING = "Waiting for data"
OTHER = "Other"  # the time of a step that no part covers
# names, or phases, of spans: the part of a step that they are
PARTS = {
    "DataLoaderIter::GetNext": WAITING,
    "Forward": "Forward",
    "Backward": "Backward",
    "Optimizer": "Optimizer",
}
NO_SPANS = "no spans of the training were recorded"


@dataclass(frozen=True)
class MaxInitializationTime:
    """The rule's parameters. threshold: minutes."""

    threshold: float = 20
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class StepOutlier:
    """The rule's parameters. mode: as in `Step:ModeKeys.TRAIN`; empty for all."""

    stddev: float = 5
    n_outliers: int = 10
    mode: str = ""
    scan_interval_us: int = SCAN_US


def max_initialization_time(profile: Profile, parameters: MaxInitializationTime) -> Result:
    """Fires when no step has begun within `threshold` minutes of the first measurement."""
    start, end = profile.bounds()
    steps = profile.steps()
    if not steps and not profile.framework:
        return without_data(parameters, NO_SPANS)
    step_num = {}
    waited = end - start
    finding = f"In {waited:.1f} s no step began."
    if steps:
        first = min(spans.starts[0] for spans in steps)
        last = max(spans.starts[-1] for spans in steps)
        step_num = {"first": round(first * 1e6), "last": round(last * 1e6)}
        waited = first - start
        finding = f"The first step began {waited:.1f} s after the first measurement."
    too_long = waited - 60 * parameters.threshold
    triggered = 0
    if too_long > 0:
        triggered = 1 + int(too_long * 1e6 / parameters.scan_interval_us)
    details = {"job_start": start, "job_end": end, "step_num": step_num}
    return answer(
        parameters,
        details,
        digits=6,
        triggered=triggered,
        violations=triggered,
        datapoints=sum(len(spans.starts) for spans in steps),
        finding=finding,
    )


def step_outlier(profile: Profile, parameters: StepOutlier) -> Result:
    """Fires when more than n_outliers steps of a mode on a worker last too long.

    Such steps last longer than their mean plus `stddev` standard deviations.
    """
    every = [spans for spans in profile.steps() if parameters.mode in ("", spans.name)]
    if not every:
        reason = "no steps were recorded"
        if parameters.mode:
            reason += f" of mode {parameters.mode}"
        return without_data(parameters, reason)
    triggered = 0
    violations = 0
    details: Details = {}
    words = []
    for spans in [spans for spans in every if len(spans.starts) > FEWEST_STEPS]:
        durations = spans.durations
        mean = durations.mean()
        limit = mean + parameters.stddev * durations.std()
        outliers = durations > limit
        count = int(outliers.sum())
        key = _key(spans)
        details[key] = _outlier_details(profile, spans, outliers)
        if count > parameters.n_outliers:
            triggered += 1
            violations += count
        share = f"{count} of {len(durations)} steps"
        words.append(f"{key}: {share} lasted longer than {limit:.4g} s (mean {mean:.4g} s)")
    datapoints = sum(len(spans.starts) for spans in every)
    reason = f"{datapoints} steps are too few: it needs more than {FEWEST_STEPS} of a mode"
    return answer(
        parameters,
        {"step_details": details},
        digits=6,
        triggered=triggered,
        violations=violations,
        datapoints=datapoints,
        finding="; ".join(words) + "." if words else "",
        not_evaluated="" if details else reason,
    )


def _key(spans: Spans) -> str:
    mode = spans.name.removeprefix(STEP)
    if mode == "TRAIN":
        return spans.worker
    return f"{spans.worker} {mode}"


def _outlier_details(profile: Profile, spans: Spans, outliers: NDArray[np.bool_]) -> Details:
    probs, edges = np.histogram(spans.durations[~outliers], bins=100)
    return {
        "step_stats": _statistics(spans.durations),
        "number_of_outliers": outliers.sum(),
        "phase": spans.name,
        "stddev": spans.durations.std(),
        "probs": probs,
        "binedges": edges,
        "step_numbers": spans.steps[outliers],
        "causes": _causes(profile, spans, outliers),
    }


def _statistics(durations: Floats) -> dict[str, float]:
    p99, p95, p50 = np.quantile(durations, [0.99, 0.95, 0.5])
    return {
        "mean": durations.mean(),
        "max": durations.max(),
        "p99": p99,
        "p95": p95,
        "p50": p50,
        "min": durations.min(),
    }


def _causes(profile: Profile, steps: Spans, outliers: NDArray[np.bool_]) -> dict[str, float]:
    """By how many seconds each part of a step is longer in an outlier, on average.

    The largest first.
    """
    if not outliers.any() or outliers.all():
        return {}
    more: dict[str, float] = {}
    for name, durations in step_parts(profile, steps).items():
        more[name] = durations[outliers].mean() - durations[~outliers].mean()
    return dict(sorted(more.items(), key=lambda entry: -entry[1]))


def step_parts(profile: Profile, steps: Spans) -> dict[str, Floats]:
    """Seconds of each step that its parts took, [steps] each, with OTHER for the rest.

    A span belongs to the step that it begins in.
    """
    parts: dict[str, Floats] = {}
    for spans in profile.spans:
        name = _part(spans)
        if name is None or spans.worker != steps.worker:
            continue
        # the last step that began before the span, or within the same microsecond
        index = np.searchsorted(steps.starts, spans.starts + 1e-6, side="right") - 1
        inside = (index >= 0) & (spans.starts <= steps.ends[np.maximum(index, 0)])
        seconds = np.bincount(index[inside], spans.durations[inside], minlength=len(steps.starts))
        parts.setdefault(name, np.zeros(len(steps.starts)))
        parts[name] += seconds
    covered = sum(parts.values(), start=np.zeros(len(steps.starts)))
    ordered = {name: parts[name] for name in PARTS.values() if name in parts}
    return ordered | {OTHER: np.maximum(0.0, steps.durations - covered)}


def _part(spans: Spans) -> str | None:
    """The part of a step that the spans cover; None for spans outside of all parts."""
    part = PARTS.get(spans.name) or PARTS.get(spans.phase)
    if part is None and spans.phase in WAITS:
        return WAITING
    return part


def data_wait_share(profile: Profile) -> float | None:
    """The share of the training steps' time that they waited for data; None if not recorded."""
    total = 0.0
    waited = 0.0
    for steps in profile.steps("TRAIN"):
        parts = step_parts(profile, steps)
        if WAITING not in parts:
            return None
        total += steps.durations.sum()
        waited += parts[WAITING].sum()
    if not total:
        return None
    return waited / total
