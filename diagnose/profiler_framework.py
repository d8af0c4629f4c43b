"""The rules over the training's own spans, by SageMaker's definitions and with its documented defaults.

Each is a pure function of the profile and its parameters. A managed job on PyTorch 2 has no such spans: SageMaker's own
framework profiling ended before it.
"""

from dataclasses import dataclass

import numpy as np

from diagnose.profiler_data import STEP, Profile, Spans
from diagnose.profiler_result import SCAN_US, Result, box, format_parameters, rounded

FEWEST_STEPS = 100  # below which no step is called an outlier
WAITS = ("DataLoaderIter", "DataIterator")
WORKERS = ("DataLoaderWorker",)
PARTS = {
    "DataLoaderIter::GetNext": "Waiting for data",
    "Forward": "Forward",
    "Backward": "Backward",
    "Optimizer": "Optimizer",
}
NO_SPANS = "no spans of the training were recorded"


@dataclass(frozen=True)
class MaxInitializationTime:
    threshold: float = 20  # minutes
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class StepOutlier:
    stddev: float = 5
    n_outliers: int = 10
    mode: str = ""  # as in `Step:ModeKeys.TRAIN`; empty: all
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class Dataloader:
    min_threshold: float = 70
    max_threshold: float = 200
    patience: int = 10
    scan_interval_us: int = SCAN_US


@dataclass(frozen=True)
class OverallFrameworkMetrics:
    scan_interval_us: int = SCAN_US


def max_initialization_time(profile: Profile, parameters: MaxInitializationTime) -> Result:
    """Fires when no step has begun within `threshold` minutes of the first measurement."""
    start, end = profile.bounds()
    steps = profile.steps()
    if not steps and not profile.framework:
        return Result(
            "MaxInitializationTime",
            parameters=format_parameters(parameters),
            not_evaluated=NO_SPANS,
        )
    first = min((spans.starts[0] for spans in steps), default=None)
    last = max((spans.starts[-1] for spans in steps), default=None)
    waited = (end if first is None else first) - start
    late = waited > 60 * parameters.threshold
    minutes = (waited - 60 * parameters.threshold) * 1e6 / parameters.scan_interval_us
    finding = (
        f"The first step began {waited:.1f} s after the first measurement."
        if first is not None
        else f"In {waited:.1f} s no step began."
    )
    details = {
        "job_start": start,
        "job_end": end,
        "step_num": {}
        if first is None
        else {"first": round(first * 1e6), "last": round(last * 1e6)},
    }
    return Result(
        "MaxInitializationTime",
        1 + int(minutes) if late else 0,
        1 + int(minutes) if late else 0,
        sum(len(spans.starts) for spans in steps),
        rounded(details, 6),
        format_parameters(parameters),
        finding,
    )


def step_outlier(profile: Profile, parameters: StepOutlier) -> Result:
    """Fires when on a worker more than n_outliers steps of a mode last longer than their mean plus stddev standard deviations."""
    every = [spans for spans in profile.steps() if parameters.mode in ("", spans.name)]
    if not every:
        mode = f" of mode {parameters.mode}" if parameters.mode else ""
        return Result(
            "StepOutlier",
            parameters=format_parameters(parameters),
            not_evaluated=f"no steps were recorded{mode}",
        )
    triggered = violations = 0
    details, words = {}, []
    for spans in every:
        if len(spans.starts) <= FEWEST_STEPS:
            continue
        durations = spans.durations
        limit = durations.mean() + parameters.stddev * durations.std()
        outliers = durations > limit
        key = (
            spans.worker
            if spans.name == STEP + "TRAIN"
            else f"{spans.worker} {spans.name.removeprefix(STEP)}"
        )
        probs, edges = np.histogram(durations[~outliers], bins=100)
        details[key] = {
            "step_stats": _statistics(durations),
            "number_of_outliers": outliers.sum(),
            "phase": spans.name,
            "stddev": durations.std(),
            "probs": probs,
            "binedges": edges,
            "step_numbers": spans.steps[outliers],
            "causes": _causes(profile, spans, outliers),
        }
        if outliers.sum() > parameters.n_outliers:
            triggered, violations = triggered + 1, violations + int(outliers.sum())
        words.append(
            f"{key}: {outliers.sum()} of {len(durations)} steps lasted longer than {limit:.4g} s (mean {durations.mean():.4g} s)"
        )
    datapoints = sum(len(spans.starts) for spans in every)
    return Result(
        "StepOutlier",
        triggered,
        violations,
        datapoints,
        rounded({"step_details": details}, 6),
        format_parameters(parameters),
        "; ".join(words) + "." if words else "",
        ""
        if details
        else f"{datapoints} steps are too few: it needs more than {FEWEST_STEPS} of a mode",
    )


def _statistics(durations: np.ndarray) -> dict[str, float]:
    p99, p95, p50 = np.quantile(durations, [0.99, 0.95, 0.5])
    return {
        "mean": durations.mean(),
        "max": durations.max(),
        "p99": p99,
        "p95": p95,
        "p50": p50,
        "min": durations.min(),
    }


def _causes(profile: Profile, steps: Spans, outliers: np.ndarray) -> dict[str, float]:
    """By how many seconds each kind of span is longer in an outlying step than in others, on average; the largest first."""
    if not outliers.any() or outliers.all():
        return {}
    more = {}
    for name, durations in step_parts(profile, steps).items():
        more[name] = durations[outliers].mean() - durations[~outliers].mean()
    return dict(sorted(more.items(), key=lambda entry: -entry[1]))


def step_parts(profile: Profile, steps: Spans) -> dict[str, np.ndarray]:
    """Seconds of each step that its parts took, [steps] each; `Other` is what no part covers. A span belongs to the step it begins in."""
    parts = {}
    for spans in profile.spans:
        name = (
            PARTS.get(spans.name)
            or PARTS.get(spans.phase)
            or ("Waiting for data" if spans.phase in WAITS else None)
        )
        if name is None or spans.worker != steps.worker:
            continue
        index = np.searchsorted(steps.starts, spans.starts + 1e-6, side="right") - 1
        inside = (index >= 0) & (spans.starts <= steps.ends[np.maximum(index, 0)])
        parts[name] = parts.get(name, 0.0) + np.bincount(
            index[inside], spans.durations[inside], minlength=len(steps.starts)
        )
    other = np.maximum(0.0, steps.durations - sum(parts.values())) if parts else steps.durations
    return {name: parts[name] for name in PARTS.values() if name in parts} | {"Other": other}


def dataloader(profile: Profile, parameters: Dataloader) -> Result:
    """Fires when the median number of loaders at work in a second is below min_threshold % or above max_threshold % of the cores.

    Loaders are the processes, or threads, that recorded work; the waiting training itself where no loader recorded any.
    """
    loaders = [spans for spans in profile.spans if spans.phase in WORKERS] or [
        spans for spans in profile.spans if spans.phase in WAITS
    ]
    cores = len(
        {(series.node, series.name) for series in profile.metrics("CPUUtilization")}
    ) // max(1, len(profile.nodes))
    if not loaders or not cores:
        return Result(
            "Dataloader",
            parameters=format_parameters(parameters),
            not_evaluated="no data loading was recorded"
            if not loaders
            else "no cores were measured",
        )
    counts = np.concatenate(
        [
            _loaders_a_second([spans for spans in loaders if spans.worker == worker])
            for worker in sorted({spans.worker for spans in loaders})
        ]
    )
    durations = np.concatenate([spans.durations for spans in loaders])
    median = float(np.median(counts))
    enough = len(counts) > parameters.patience
    fires = (
        enough
        and not cores * parameters.min_threshold / 100
        <= median
        <= cores * parameters.max_threshold / 100
    )
    probs, edges = np.histogram(durations, bins=100)
    details = {
        "cores": cores,
        "dataloaders": median,
        "dataloading_time": box(durations) | {"probs": probs, "binedges": edges},
    }
    waiting = data_wait_share(profile)
    words = (
        ""
        if waiting is None
        else f" Waiting for data took {100 * waiting:.0f} % of the steps' time."
    )
    return Result(
        "Dataloader",
        int(fires),
        int(fires),
        len(durations),
        rounded(details, 6),
        format_parameters(parameters),
        f"In the median second {median:g} loaders were at work on {cores} cores.{words}",
        ""
        if enough
        else f"{len(counts)} seconds of data loading are not more than the {parameters.patience} that it waits for",
    )


def _loaders_a_second(loaders: list[Spans]) -> np.ndarray:
    """How many different loaders were at work in each second in which any was: int64 [seconds]."""
    starts, ends = (
        np.concatenate([spans.starts for spans in loaders]),
        np.concatenate([spans.ends for spans in loaders]),
    )
    pids = np.concatenate([spans.pids for spans in loaders])
    lengths = np.minimum(np.floor(ends) - np.floor(starts), 86400).astype(np.int64) + 1
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    seconds = np.repeat(np.floor(starts).astype(np.int64), lengths) + within
    pairs = np.unique(np.stack([seconds, np.repeat(pids, lengths)]), axis=1)
    return np.unique(pairs[0], return_counts=True)[1]


def data_wait_share(profile: Profile) -> float | None:
    """The share of the training steps' time that went into waiting for data; None where that was not recorded."""
    total = waited = 0.0
    for steps in profile.steps("TRAIN"):
        parts = step_parts(profile, steps)
        total, waited = (
            total + steps.durations.sum(),
            waited + (parts["Waiting for data"].sum() if "Waiting for data" in parts else 0.0),
        )
        if "Waiting for data" not in parts:
            return None
    return waited / total if total else None


def overall_framework_metrics(profile: Profile, parameters: OverallFrameworkMetrics) -> Result:
    """Never fires: shares, in percent, of the modes, of forward and backward, of all phases, and of the traced operators."""
    if not profile.spans:
        return Result(
            "OverallFrameworkMetrics",
            parameters=format_parameters(parameters),
            not_evaluated=NO_SPANS,
        )
    steps, phases = {}, {}
    for spans in profile.spans:
        times = steps if spans.phase.startswith(STEP) or spans.name.startswith(STEP) else phases
        times[spans.phase] = times.get(spans.phase, 0.0) + spans.durations.sum()
    workers = len({spans.worker for spans in profile.steps()}) or 1
    whole = max(spans.ends.max() for spans in profile.spans) - min(
        spans.starts[0] for spans in profile.spans
    )
    details = {
        "phase": _percent(steps | {"others": max(0.0, whole * workers - sum(steps.values()))}),
        "phase_time": steps,
        "general": _percent(phases),
    }
    passes = {f"{name} pass": phases[name] for name in ("Forward", "Backward") if name in phases}
    if len(passes) == 2:
        details["forward_backward"] = _percent(passes)
    for device, key in (("CPU", "cpu_us"), ("GPU", "gpu_us")):
        times = {row["name"]: row[key] for row in profile.operators if row[key] > 0}
        if times:
            top = dict(sorted(times.items(), key=lambda entry: -entry[1])[:20])
            details |= {
                device: {name: share for name, share in _percent(times).items() if name in top},
                f"{device}_total": top,
            }
    details["ratio"] = _percent(
        {
            device: sum(row[key] for row in profile.operators)
            for device, key in (("CPU", "cpu_us"), ("GPU", "gpu_us"))
        }
    )
    return Result(
        "OverallFrameworkMetrics",
        0,
        0,
        sum(len(spans.starts) for spans in profile.spans),
        rounded(details),
        format_parameters(parameters),
    )


def _percent(times: dict[str, float]) -> dict[str, float]:
    total = sum(times.values())
    return {name: 100 * seconds / total for name, seconds in times.items()} if total else {}
