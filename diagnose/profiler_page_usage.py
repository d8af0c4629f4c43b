"""The use of each machine on the profiler's page, as plots over time and box plots."""

from dataclasses import dataclass

from diagnose.profiler_data import Profile, Series
from diagnose.profiler_result import box
from diagnose.profiler_usage import Usage, usage
from diagnose.report_charts import Curves, Plot, Span, boxes, chart, over_time

MOST_NODES = 8  # with plots of their own
X_LABEL = "minutes since the start"
PERCENT = 100.0  # the top of an axis of percent


@dataclass(frozen=True)
class _Percents:
    """A plot of used shares. lines: resource to its name in the plot."""

    title: str
    lines: dict[str, str]


@dataclass(frozen=True)
class _Rates:
    """A plot of bytes per second. kind: the metrics' type; lines: metric to its name."""

    title: str
    kind: str
    lines: dict[str, str]


PERCENT_PLOTS = (
    _Percents("Processor", {"CPU": "in use", "I/O": "waiting for I/O"}),
    _Percents("GPU", {"GPU": "in use", "GPU memory": "memory"}),
    _Percents("Memory", {"CPU memory": "in use"}),
)
RATE_PLOTS = (
    _Rates(
        "Disk",
        "i/o",
        {"ReadThroughputInBytesPerSecond": "read", "WriteThroughputInBytesPerSecond": "written"},
    ),
    _Rates(
        "Network",
        "network",
        {"ReceiveBytesPerSecond": "received", "TransmitBytesPerSecond": "sent"},
    ),
)


def node_charts(profile: Profile) -> list[dict[str, object]]:
    """The plots of each node over the minutes since the job's start."""
    found = usage(profile)
    spans = _loop_span(profile)
    pages: list[dict[str, object]] = []
    for node in profile.nodes[:MOST_NODES]:
        charts = []
        for percents in PERCENT_PLOTS:
            curves = _percent_curves(profile, found, node, percents)
            if curves:
                shaded = _inside(spans, curves)
                charts.append(chart(percents.title, "%", X_LABEL, curves, PERCENT, shaded))
        for rates in RATE_PLOTS:
            curves = _rate_curves(profile, node, rates)
            if curves:
                shaded = _inside(spans, curves)
                charts.append(chart(rates.title, "B/s", X_LABEL, curves, spans=shaded))
        pages.append({"name": node, "charts": charts})
    return pages


def gpu_boxes(profile: Profile) -> list[tuple[str, Plot]]:
    """Box plots of each GPU's use and of its memory."""
    found = []
    for title, dimension in (
        ("Use of each GPU", "GPUUtilization"),
        ("Memory of each GPU", "GPUMemoryUtilization"),
    ):
        series = profile.metrics(dimension)
        rows = {f"{entry.node} {entry.name}": box(entry.values) for entry in series}
        if rows:
            found.append((title, boxes(rows)))
    return found


def _percent_curves(profile: Profile, found: Usage, node: str, plot: _Percents) -> Curves:
    start, _ = profile.bounds()
    curves = {}
    for resource, name in plot.lines.items():
        if node in found.get(resource, {}):
            times, values = over_time(*found[resource][node])
            curves[name] = ((times - start) / 60, values)
    return curves


def _rate_curves(profile: Profile, node: str, plot: _Rates) -> Curves:
    start, _ = profile.bounds()
    series: dict[str, Series] = {}
    for entry in profile.metrics(type=plot.kind, node=node):
        if entry.dimension != "Platform":  # SageMaker's own traffic, not the training's
            series[entry.name] = entry
    curves = {}
    for metric, name in plot.lines.items():
        if metric in series:
            times, values = over_time(series[metric].times, series[metric].values)
            curves[name] = ((times - start) / 60, values)
    return curves


def _loop_span(profile: Profile) -> list[Span]:
    """The training loop as a shaded span, in minutes; none without steps."""
    loop = profile.loop_bounds()
    if loop is None:
        return []
    start, _ = profile.bounds()
    first, last = loop
    return [((first - start) / 60, (last - start) / 60, "the training loop")]


def _inside(spans: list[Span], curves: Curves) -> list[Span]:
    """The shaded spans, cut to the times of the curves."""
    low = min(x.min() for x, _ in curves.values())
    high = max(x.max() for x, _ in curves.values())
    return [
        (max(low, begin), min(high, end), words)
        for begin, end, words in spans
        if begin < high and end > low
    ]
