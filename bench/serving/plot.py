"""The picture of the serving bench: requests/s by connections."""

from bench.sections import RESULTS
from bench.serving.measuring import CONNECTIONS
from bench.serving.results import Results

PLOT = RESULTS.with_name("serve.png")
COLOURS = {
    "slipway-int8": "#0b6e4f",
    "slipway-bf16": "#4cb08a",
    "ray-int8": "#3d5a80",
    "bentoml-int8": "#6f8fb3",
    "litserve-int8": "#a3b9d1",
    "ray": "#5c636b",
    "mms": "#8b939c",
    "litserve": "#b9bfc6",
}
WIDTH = 0.1  # of a bar; 1 is the distance from one number of connections to the next


def write_plot(results: Results) -> str:
    """A bar for each server at each number of connections; Markdown that shows the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5), dpi=130)
    for place, (name, colour) in enumerate(COLOURS.items()):
        kind = results.sent_as(name)
        rates = [results.figure(name, count, "rates", kind) for count in CONNECTIONS]
        middle = (len(COLOURS) - 1) / 2
        lefts = [index + (place - middle) * WIDTH for index in range(len(rates))]
        bars = axes.bar(lefts, rates, WIDTH * 0.9, label=name, color=colour)
        axes.bar_label(bars, [f"{rate:.0f}" for rate in rates], fontsize=7)
    labels = [f"{count} conn." for count in CONNECTIONS]
    axes.set_xticks(range(len(labels)), labels, fontsize=11)
    axes.set_ylabel("requests per second", fontsize=11)
    axes.set_title("ResNet50, requests per second by connections", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.1)
    figure.legend(frameon=False, ncols=4, fontsize=9, loc="lower center")
    figure.tight_layout(rect=(0, 0.12, 1, 1))
    figure.savefig(PLOT)
    return f"![requests per second]({PLOT.name})"
