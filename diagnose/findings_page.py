"""findings.html: one page on what all rules found in a training.

It asks nothing of the network. The code turns the answers into numbers and places;
`findings.html.j2` beside it holds words, markup and style.
"""

from pathlib import Path

import numpy as np

import artifact.pages.page
from artifact.pages.line_chart import BOTTOM, LEFT, RIGHT, TOP, drawn_line
from artifact.pages.plot import Axis, linear_axis, value_axis
from artifact.pages.project_pages import About
from diagnose.findings import (
    ERROR,
    IN_PROGRESS,
    NO_ISSUES_FOUND,
    PROFILE,
    SEVERITIES,
    Finding,
    format_value,
)
from diagnose.line import Line
from diagnose.page_links import FINDINGS_PAGE, PROFILER_PAGE, TRAINING_REPORT, links
from diagnose.profiler_data import Floats
from diagnose.report_charts import Plot
from diagnose.verdict import Verdict

TEMPLATE = Path(__file__).with_name("findings.html.j2")
MOST_BARS = 24
BAR_ROW = 20
BAR_LEFT = 130  # room for names
WIDE = 1000.0  # times the smallest value: beyond it a linear axis shows the largest alone
EDGE = 60  # of the mark to the plot's edge: nearer to the right its words stand on its left

STATES = {NO_ISSUES_FOUND: "fine", IN_PROGRESS: "under way", ERROR: "could not be judged"}

Section = dict[str, object]  # values of the template


def write_findings_page(folder: Path, verdict: Verdict) -> Path:
    """Write the page, whole or not at all. OSError when writing fails."""
    path = folder / FINDINGS_PAGE
    artifact.pages.page.write_page(
        path,
        TEMPLATE,
        about=About("findings", {"rules that fired": str(len(verdict.fired))}),
        title="Findings",
        verdict=verdict,
        severities=SEVERITIES,
        fired=[_card(finding) for finding in verdict.fired],
        others=[_row(finding) for finding in [*verdict.unjudged, *verdict.fine]],
        facts=_facts(verdict),
        links=links(folder, (TRAINING_REPORT, str(PROFILER_PAGE))),
    )
    return path


def _facts(verdict: Verdict) -> dict[str, str]:
    return {
        "Rules that fired": str(len(verdict.fired)),
        "Fine": str(len(verdict.fine)),
        "Not judged": str(len(verdict.unjudged)),
    }


def _card(finding: Finding) -> Section:
    figures = {}
    if finding.step is not None and finding.mode:
        figures["Where"] = f"{finding.mode.lower()} step {finding.mode_step}"
    if finding.tensor:
        figures["Tensor"] = finding.tensor
    if finding.value is not None:
        figures["Value"] = format_value(finding.value)
        figures["Threshold"] = format_value(finding.threshold)
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "kind": "machine and time" if finding.kind == PROFILE else "tensors",
        "sentence": _sentence(finding.sentence),
        "advice": _sentence(finding.advice),
        "figures": figures,
        "plot": _plot(finding.line),
        "bars": _bars(finding.line),
    }


def _row(finding: Finding) -> Section:
    return {
        "rule": finding.rule,
        "state": STATES.get(finding.status, "not judged"),
        "kind": "machine and time" if finding.kind == PROFILE else "tensors",
        "sentence": _sentence(finding.sentence.removeprefix("not judged: ")),
    }


def _sentence(text: str) -> str:
    """With a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _plot(line: Line | None) -> Plot | None:
    """The line's curves with the step and the value at which the rule fired."""
    if line is None or not line.curves:
        return None
    curves = {name: _arrays(points) for name, points in line.curves.items()}
    x_axis = _x_axis([x for x, _ in curves.values()])
    y_axis = _y_axis([y for _, y in curves.values()], line.threshold)
    drawn = []
    for number, (name, (x, y)) in enumerate(curves.items()):
        places = x_axis.place(x)
        heights = y_axis.place(np.clip(y, y_axis.low, y_axis.high))
        drawn.append(drawn_line(number, name, places, heights))
    mark = None if line.mark is None else float(x_axis.place(line.mark))
    return {
        "title": line.watched,
        "x_label": line.x_label,
        "x_ticks": x_axis.marks(),
        "y_ticks": y_axis.marks(lambda tick: f"{tick:.3g}"),
        "lines": drawn,
        "mark": mark,
        "mark_step": line.mark,
        "mark_left": mark is not None and mark > RIGHT - EDGE,
        "threshold": _threshold(line.threshold, y_axis),
        "threshold_value": format_value(line.threshold),
    }


def _arrays(points: list[tuple[float, float | None]]) -> tuple[Floats, Floats]:
    x = np.array([step for step, _ in points], float)
    y = np.array([np.nan if value is None else value for _, value in points], float)
    return x, y


def _x_axis(curves: list[Floats]) -> Axis:
    xs = np.concatenate(curves)
    return linear_axis(xs.min(), max(xs.max(), xs.min() + 1), LEFT, RIGHT, 6, exact=True)


def _y_axis(curves: list[Floats], threshold: float | None) -> Axis:
    """Around all values and the threshold; by decades where they lie far apart."""
    values = np.concatenate([*curves, [np.nan if threshold is None else threshold]])
    known = values[np.isfinite(values)]
    positive = known[known > 0]
    if len(positive) and known.min() >= 0 and known.max() > WIDE * positive.min():
        decades = _decades(float(positive.min()), float(known.max()))
        return Axis(decades[0], decades[-1], BOTTOM, TOP, decades, "Logarithmic")
    return value_axis(values, BOTTOM, TOP, 4)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten around both, about six."""
    first = int(np.floor(np.log10(low)))
    last = int(np.ceil(np.log10(high)))
    every = max(1, -(-(last - first) // 6))
    powers = range(first, last + every, every)
    return [10.0**power for power in powers]


def _threshold(value: float | None, axis: Axis) -> float | None:
    if value is None or not axis.low <= value <= axis.high:
        return None
    return float(axis.place(value))


def _bars(line: Line | None) -> Plot | None:
    """The line's bars, one per row, the longest first."""
    if line is None or not line.bars:
        return None
    ordered = sorted(line.bars.items(), key=lambda entry: -abs(entry[1]))
    longest = abs(ordered[0][1]) or 1.0
    shown = ordered
    if len(ordered) > MOST_BARS:  # both ends say most
        shown = ordered[: MOST_BARS // 2] + ordered[-MOST_BARS // 2 :]
    rows = []
    for number, (name, value) in enumerate(shown):
        width = round((RIGHT - BAR_LEFT - 60) * abs(value) / longest, 1)
        rows.append({"name": name, "value": f"{value:.3g}", "y": BAR_ROW * number, "width": width})
    return {
        "title": line.watched,
        "left": BAR_LEFT,
        "height": BAR_ROW * len(rows),
        "rows": rows,
        "left_out": len(ordered) - len(shown),
    }
