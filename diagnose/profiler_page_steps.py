"""The steps on the profiler's page: how long they took, and where their time went."""

import numpy as np

from diagnose.profiler_data import STEP, Floats, Profile, Spans
from diagnose.profiler_page_usage import MOST_NODES
from diagnose.profiler_steps import OTHER, WAITING, step_parts
from diagnose.report_charts import histogram

MOST_SECTIONS = 2 * MOST_NODES  # training and validation of each node
COLOURS = {
    WAITING: "orange",
    "Forward": "blue",
    "Backward": "violet",
    "Optimizer": "green",
    OTHER: "grey",
}

Section = dict[str, object]  # values of the template


def step_sections(profile: Profile) -> list[Section]:
    """Of each worker and mode a histogram of its steps, their statistics, and their parts.

    Training comes first.
    """
    steps = sorted(profile.steps(), key=lambda spans: (_mode(spans) != "TRAIN", spans.worker))
    return [_section(profile, spans) for spans in steps[:MOST_SECTIONS]]


def _mode(spans: Spans) -> str:
    return spans.name.removeprefix(STEP)


def _section(profile: Profile, spans: Spans) -> Section:
    return {
        "worker": spans.worker,
        "mode": _mode(spans),
        "count": len(spans.durations),
        "histogram": histogram(spans.durations),
        "statistics": _statistics(spans.durations),
        "parts": _parts(step_parts(profile, spans)),
    }


def _statistics(seconds: Floats) -> dict[str, float]:
    p99, p95, p50 = np.quantile(seconds, [0.99, 0.95, 0.5])
    return {
        "mean": seconds.mean(),
        "maximum": seconds.max(),
        "99th percentile": p99,
        "95th percentile": p95,
        "median": p50,
        "minimum": seconds.min(),
    }


def _parts(parts: dict[str, Floats]) -> list[Section]:
    """The parts of a step that took any time; none where there is only one. parts: seconds [N]."""
    used = {name: seconds for name, seconds in parts.items() if seconds.any()}
    if len(used) < 2:
        return []
    means = {name: float(seconds.mean()) for name, seconds in used.items()}
    whole = max(sum(means.values()), 1e-12)  # never 0
    return [
        {
            "name": name,
            "seconds": mean,
            "share": mean / whole,
            "p95": float(np.quantile(used[name], 0.95)),
            "colour": COLOURS[name],
        }
        for name, mean in means.items()
    ]
