"""profiler-report.html: one page on what a training did with its time and its machine.

It asks nothing of the network. The code turns a profile and the rules' answers into numbers and
places; `report.html.j2` beside it holds words, markup and style.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import artifact.pages.page
from artifact.pages.project_pages import About
from artifact.text.numbers import duration, percent
from diagnose.profiler_data import STEP, Profile
from diagnose.profiler_formats import amount, count, date
from diagnose.profiler_framework import DEVICES
from diagnose.profiler_page_steps import step_sections
from diagnose.profiler_page_usage import MOST_NODES, gpu_boxes, node_charts
from diagnose.profiler_result import Details, Result
from diagnose.profiler_rules import RULES
from diagnose.profiler_steps import data_wait_share
from diagnose.report_charts import chart
from diagnose.report_losses import Losses
from diagnose.verdict import Verdict

TEMPLATE = Path(__file__).with_name("report.html.j2")
MOST_OPERATORS = 15
MOST_CAUSES = 3
COLLECTORS = ("OverallFrameworkMetrics", "OverallSystemUsage")  # rules that never fire
PHASES = {
    f"{STEP}TRAIN": "Training steps",
    f"{STEP}EVAL": "Validation steps",
    "others": "Everything between and around them",
}

Section = dict[str, object]  # values of the template


def write_page(
    path: Path,
    profile: Profile,
    results: Sequence[Result],
    losses: Losses,
    verdict: Verdict,
    linked: Mapping[str, str],
    title: str = "",
) -> None:
    """Write the page, whole or not at all, making the folders it needs.

    verdict: over all rules of the training, not only those over its profile. linked: addresses of
    other pages by their names. OSError when writing fails.
    """
    loss_chart = None
    if losses.curves:
        loss_chart = chart("Loss", "", losses.unit, losses.curves)
    artifact.pages.page.write_page(
        path,
        TEMPLATE,
        {"percent": percent, "duration": duration, "amount": amount},
        about=About("profile"),
        title=title or "Profile of a training",
        facts=_facts(profile),
        job=_job(profile),
        verdict=verdict,
        links=linked,
        rules=_rules(results),
        nodes=node_charts(profile),
        more_nodes=max(0, len(profile.nodes) - MOST_NODES),
        usage=_usage_rows(results),
        steps=step_sections(profile),
        modes=_modes(results),
        operators=_operators(profile),
        gpus=gpu_boxes(profile),
        notes=[*profile.notes, *losses.notes],
        losses=loss_chart,
    )


def _facts(profile: Profile) -> dict[str, str]:
    start, end = profile.bounds()
    parts = [count(len(profile.nodes), "node")]
    for dimension, name in (("CPUUtilization", "core"), ("GPUUtilization", "GPU")):
        found = {(series.node, series.name) for series in profile.metrics(dimension)}
        parts.append(count(len(found), name))
    facts = {"Time": duration(end - start), "Machine": ", ".join(parts)}
    steps = profile.steps("TRAIN")
    if steps:
        durations = np.concatenate([spans.durations for spans in steps])
        facts["Training steps"] = f"{len(durations):,}"
        facts["Median step"] = duration(float(np.median(durations)))
    waiting = data_wait_share(profile)
    if waiting is not None:
        facts["Waiting for data"] = f"{percent(waiting)} of the steps"
    return facts


def _job(profile: Profile) -> Section:
    """SageMaker's job summary: when, and how long each part took; without steps only the whole."""
    start, end = profile.bounds()
    rows: list[tuple[str, str, float | None]] = [
        ("Start", date(start), None),
        ("End", date(end), None),
        ("Whole", duration(end - start), 1.0),
    ]
    parts: list[Section] = []
    loop = profile.loop_bounds()
    if loop is not None:
        first, last = loop
        timed = [
            ("Initialization", first - start, "orange"),
            ("Training loop", last - first, "blue"),
            ("Finalization", max(0.0, end - last), "green"),
        ]
        whole = max(sum(seconds for _, seconds, _ in timed), 1e-9)  # never 0
        for name, seconds, colour in timed:
            rows.append((name, duration(seconds), seconds / whole))
            parts.append({"name": name, "share": seconds / whole, "colour": colour})
    return {"rows": rows, "parts": parts}


def _rules(results: Sequence[Result]) -> list[Section]:
    """The answers, those that fired first, those that say least last."""

    def order(result: Result) -> tuple[int, bool, bool, str]:
        is_collector = result.rule in COLLECTORS
        return -result.triggered, bool(result.not_evaluated), is_collector, result.rule

    return [_rule(result) for result in sorted(results, key=order)]


def _rule(result: Result) -> Section:
    rule = RULES[result.rule]
    return {
        "name": result.rule,
        "state": _state(result),
        "triggered": result.triggered,
        "violations": result.violations,
        "datapoints": result.datapoints,
        "description": rule.description,
        "finding": result.finding,
        "advice": rule.advice if result.triggered else "",
        "not_evaluated": result.not_evaluated,
        "parameters": result.parameters.splitlines(),
        "causes": _causes(result),
    }


def _state(result: Result) -> str:
    if result.triggered:
        return "fired"
    if result.not_evaluated:
        return "not judged"
    if result.rule in COLLECTORS:
        return "collects"
    return "fine"


def _causes(result: Result) -> list[str]:
    """Sentences on the parts of a step that are longer in its outliers."""
    if not result.triggered:
        return []
    sentences = []
    for worker, details in result.details.get("step_details", {}).items():
        for name, seconds in list(details["causes"].items())[:MOST_CAUSES]:
            if seconds > 0:
                sentences.append(
                    f"{worker}: {name} is {duration(seconds)} longer in them, on average"
                )
    return sentences


def _details(results: Sequence[Result], rule: str) -> Details:
    for result in results:
        if result.rule == rule:
            return result.details
    return {}


def _usage_rows(results: Sequence[Result]) -> list[Section]:
    rows = []
    for metric, nodes in _details(results, "OverallSystemUsage").items():
        unit = "bytes/s" if metric == "Network" else "%"
        for node, values in nodes.items():
            rows.append({"node": node, "metric": metric, "unit": unit, **values})
    return rows


def _modes(results: Sequence[Result]) -> list[tuple[str, float]]:
    """Shares of the whole that went into training steps, validation steps and all else."""
    phases = _details(results, "OverallFrameworkMetrics").get("phase", {})
    known = list(PHASES)

    def order(name: str) -> int:
        if name not in PHASES:
            return 0
        return known.index(name)

    return [(PHASES.get(name, name), phases[name] / 100) for name in sorted(phases, key=order)]


def _operators(profile: Profile) -> dict[str, list[Section]]:
    """The traced operators that took the most time of their own, by device."""
    tables = {}
    for device, key in DEVICES.items():
        rows = [row for row in profile.operators if row[key] > 0]
        rows.sort(key=lambda row: -row[key])
        total = sum(row[key] for row in profile.operators)
        if rows:
            tables[device] = [
                {
                    "name": row["name"],
                    "count": row["count"],
                    "seconds": row[key] / 1e6,
                    "share": row[key] / total,
                }
                for row in rows[:MOST_OPERATORS]
            ]
    return tables
