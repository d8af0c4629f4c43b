"""profiler-report.html: one page that asks nothing of the network, on what a training did with its time and its machine.

It turns a profile and the rules' answers into numbers and places; `report.html.j2` beside it holds words, markup and style.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import artifact.page
from diagnose.profiler_data import STEP, Profile
from diagnose.profiler_framework import data_wait_share, step_parts
from diagnose.profiler_result import Result, box
from diagnose.profiler_rules import RULES
from diagnose.profiler_system import usage
from diagnose.report_charts import boxes, chart, histogram, over_time
from diagnose.report_losses import Curves

TEMPLATE = Path(__file__).with_name("report.html.j2")
MOST_NODES = 8  # with plots of their own
MOST_OPERATORS = 15
COLLECTORS = ("OverallFrameworkMetrics", "OverallSystemUsage")


def write_page(
    path: Path,
    profile: Profile,
    results: Sequence[Result],
    losses: tuple[str, Curves],
    notes: Sequence[str] = (),
    title: str = "",
) -> None:
    """Write the page, whole or not at all, making the folders it needs. losses: what x counts, and the curves. OSError when writing fails."""
    artifact.page.write_page(
        path,
        TEMPLATE,
        {"percent": _percent, "duration": _duration, "amount": _amount},
        title=title or "Profile of a training",
        facts=_facts(profile),
        job=_job(profile),
        rules=_rules(results),
        nodes=_nodes(profile),
        more_nodes=max(0, len(profile.nodes) - MOST_NODES),
        usage=_usage_rows(results),
        steps=_steps(profile),
        modes=_modes(results),
        operators=_operators(profile),
        gpus=_gpus(profile),
        notes=[*profile.notes, *notes],
        losses=chart("Loss", "", losses[0], losses[1]) if losses[1] else None,
    )


def _facts(profile: Profile) -> dict[str, str]:
    start, end = profile.bounds()
    cores, gpus = (
        {(series.node, series.name) for series in profile.metrics(dimension)}
        for dimension in ("CPUUtilization", "GPUUtilization")
    )
    facts = {
        "Time": _duration(end - start),
        "Machine": f"{_count(len(profile.nodes), 'node')}, {_count(len(cores), 'core')}, {_count(len(gpus), 'GPU')}",
    }
    steps = profile.steps("TRAIN")
    if steps:
        durations = np.concatenate([spans.durations for spans in steps])
        facts |= {
            "Training steps": f"{len(durations):,}",
            "Median step": _duration(float(np.median(durations))),
        }
    waiting = data_wait_share(profile)
    if waiting is not None:
        facts["Waiting for data"] = f"{100 * waiting:.1f} % of the steps"
    return facts


def _job(profile: Profile) -> dict:
    """SageMaker's job summary: when, and how long each part took; without steps only the whole."""
    start, end = profile.bounds()
    rows = [
        ("Start", _date(start), None),
        ("End", _date(end), None),
        ("Whole", _duration(end - start), 1.0),
    ]
    parts = []
    steps = profile.steps()
    if steps:
        first, last = (
            min(spans.starts[0] for spans in steps),
            max(spans.ends.max() for spans in steps),
        )
        named = {
            "Initialization": first - start,
            "Training loop": last - first,
            "Finalization": max(0.0, end - last),
        }
        whole = max(sum(named.values()), 1e-9)
        rows += [(name, _duration(seconds), seconds / whole) for name, seconds in named.items()]
        parts = [
            {"name": name, "share": seconds / whole, "colour": colour}
            for (name, seconds), colour in zip(named.items(), ("orange", "blue", "green"))
        ]
    return {"rows": rows, "parts": parts}


def _rules(results: Sequence[Result]) -> list[dict]:
    """The answers, those that fired first."""
    order = sorted(
        results,
        key=lambda result: (
            -result.triggered,
            bool(result.not_evaluated),
            result.rule in COLLECTORS,
            result.rule,
        ),
    )
    return [
        {
            "name": result.rule,
            "state": _state(result),
            "triggered": result.triggered,
            "violations": result.violations,
            "datapoints": result.datapoints,
            "description": RULES[result.rule].description,
            "finding": result.finding,
            "advice": RULES[result.rule].advice if result.triggered else "",
            "not_evaluated": result.not_evaluated,
            "parameters": result.parameters.splitlines(),
            "causes": _causes(result),
        }
        for result in order
    ]


def _state(result: Result) -> str:
    if result.triggered:
        return "fired"
    if result.not_evaluated:
        return "not judged"
    return "collects" if result.rule in COLLECTORS else "fine"


def _causes(result: Result) -> list[str]:
    """Which parts of a step are longer in its outliers."""
    steps = result.details.get("step_details", {}) if result.triggered else {}
    return [
        f"{worker}: {name} is {_duration(seconds)} longer in them, on average"
        for worker, details in steps.items()
        for name, seconds in list(details["causes"].items())[:3]
        if seconds > 0
    ]


def _nodes(profile: Profile) -> list[dict]:
    """The plots of each node over the minutes since the job's start."""
    start, _ = profile.bounds()
    found = usage(profile)
    spans = []
    if profile.steps():
        first, last = (
            min(steps.starts[0] for steps in profile.steps()),
            max(steps.ends.max() for steps in profile.steps()),
        )
        spans = [((first - start) / 60, (last - start) / 60, "the training loop")]

    def lines(node: str, kinds: dict[str, str]) -> dict:
        rows = {
            words: found[kind][node] for kind, words in kinds.items() if node in found.get(kind, {})
        }
        return {
            words: ((times - start) / 60, values)
            for words, (times, values) in ((words, over_time(*row)) for words, row in rows.items())
        }

    def rates(node: str, kind: str, names: dict[str, str]) -> dict:
        series = {
            entry.name: entry
            for entry in profile.metrics(type=kind)
            if entry.node == node and entry.dimension != "Platform"
        }
        rows = {
            words: over_time(series[name].times, series[name].values)
            for name, words in names.items()
            if name in series
        }
        return {words: ((times - start) / 60, values) for words, (times, values) in rows.items()}

    pages = []
    for node in profile.nodes[:MOST_NODES]:
        plots = [
            ("Processor", "%", lines(node, {"CPU": "in use", "I/O": "waiting for I/O"}), 100.0),
            ("GPU", "%", lines(node, {"GPU": "in use", "GPU memory": "memory"}), 100.0),
            ("Memory", "%", lines(node, {"CPU memory": "in use"}), 100.0),
            (
                "Disk",
                "B/s",
                rates(
                    node,
                    "i/o",
                    {
                        "ReadThroughputInBytesPerSecond": "read",
                        "WriteThroughputInBytesPerSecond": "written",
                    },
                ),
                None,
            ),
            (
                "Network",
                "B/s",
                rates(
                    node,
                    "network",
                    {"ReceiveBytesPerSecond": "received", "TransmitBytesPerSecond": "sent"},
                ),
                None,
            ),
        ]
        pages.append(
            {
                "name": node,
                "charts": [
                    chart(
                        title, unit, "minutes since the start", curves, top, _inside(spans, curves)
                    )
                    for title, unit, curves, top in plots
                    if curves
                ],
            }
        )
    return pages


def _inside(
    spans: Sequence[tuple[float, float, str]], curves: dict
) -> list[tuple[float, float, str]]:
    """The shaded spans, cut to what the curves cover."""
    low, high = min(x.min() for x, _ in curves.values()), max(x.max() for x, _ in curves.values())
    return [
        (max(low, begin), min(high, end), words)
        for begin, end, words in spans
        if begin < high and end > low
    ]


def _usage_rows(results: Sequence[Result]) -> list[dict]:
    details = next(
        (result.details for result in results if result.rule == "OverallSystemUsage"), {}
    )
    units = {"Network": "bytes/s"}
    return [
        {"node": node, "metric": metric, "unit": units.get(metric, "%"), **values}
        for metric, nodes in details.items()
        for node, values in nodes.items()
    ]


def _steps(profile: Profile) -> list[dict]:
    """Of each worker and mode: the histogram of its steps, their statistics, and the parts of a step."""
    pages = []
    for spans in profile.steps():
        seconds = spans.durations
        parts = step_parts(profile, spans)
        means = {
            name: float(durations.mean()) for name, durations in parts.items() if durations.any()
        }
        whole = max(sum(means.values()), 1e-12)
        colours = dict(
            zip(
                ("Waiting for data", "Forward", "Backward", "Optimizer", "Other"),
                ("orange", "blue", "violet", "green", "grey"),
            )
        )
        p99, p95, p50 = np.quantile(seconds, [0.99, 0.95, 0.5])
        pages.append(
            {
                "worker": spans.worker,
                "mode": spans.name.removeprefix(STEP),
                "count": len(seconds),
                "histogram": histogram(seconds),
                "statistics": {
                    "mean": seconds.mean(),
                    "maximum": seconds.max(),
                    "99th percentile": p99,
                    "95th percentile": p95,
                    "median": p50,
                    "minimum": seconds.min(),
                },
                "parts": [
                    {
                        "name": name,
                        "seconds": mean,
                        "share": mean / whole,
                        "p95": float(np.quantile(parts[name], 0.95)),
                        "colour": colours[name],
                    }
                    for name, mean in means.items()
                ]
                if len(means) > 1
                else [],
            }
        )
    return sorted(pages, key=lambda page: (page["mode"] != "TRAIN", page["worker"]))[
        : 2 * MOST_NODES
    ]


def _modes(results: Sequence[Result]) -> list[tuple[str, float]]:
    """Shares of the whole that went into training steps, validation steps and all else."""
    details = next(
        (result.details for result in results if result.rule == "OverallFrameworkMetrics"), {}
    )
    words = {
        f"{STEP}TRAIN": "Training steps",
        f"{STEP}EVAL": "Validation steps",
        "others": "Everything between and around them",
    }
    phases = sorted(
        details.get("phase", {}).items(),
        key=lambda entry: list(words).index(entry[0]) if entry[0] in words else 0,
    )
    return [(words.get(name, name), share / 100) for name, share in phases]


def _operators(profile: Profile) -> dict[str, list[dict]]:
    """The traced operators that took the most time of their own, by device."""
    tables = {}
    for device, key in (("CPU", "cpu_us"), ("GPU", "gpu_us")):
        total = sum(row[key] for row in profile.operators)
        rows = sorted(
            (row for row in profile.operators if row[key] > 0), key=lambda row: -row[key]
        )[:MOST_OPERATORS]
        if rows:
            tables[device] = [
                {
                    "name": row["name"],
                    "count": row["count"],
                    "seconds": row[key] / 1e6,
                    "share": row[key] / total,
                }
                for row in rows
            ]
    return tables


def _gpus(profile: Profile) -> list[tuple[str, dict]]:
    """Box plots of each GPU's use and of its memory."""
    found = []
    for title, dimension in (
        ("Use of each GPU", "GPUUtilization"),
        ("Memory of each GPU", "GPUMemoryUtilization"),
    ):
        rows = {
            f"{series.node} {series.name}": box(series.values)
            for series in profile.metrics(dimension)
        }
        if rows:
            found.append((title, boxes(rows)))
    return found


def _count(number: int, name: str) -> str:
    return f"no {name}" if number == 0 else f"{number} {name}{'s' if number > 1 else ''}"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _duration(seconds: float) -> str:
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    if seconds >= 120:
        return f"{int(seconds // 60)} min {int(seconds % 60):02d} s"
    return (
        f"{seconds:.3g} s"
        if seconds >= 1
        else f"{1000 * seconds:.3g} ms"
        if seconds >= 1e-3
        else f"{1e6 * seconds:.3g} µs"
    )


def _amount(value: float) -> str:
    return "—" if not math.isfinite(value) else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
