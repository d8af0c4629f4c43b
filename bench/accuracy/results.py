"""The table, the plot and the last line of bench.accuracy."""

from pathlib import Path

from bench.accuracy.parts import Bench, Figures
from bench.parts import Parts
from bench.sections import Bar, bar_rows, machine

# in the order of the last line
NAMES = (
    "yoga8_quick",
    "yoga8_best",
    "yoga8_scratch",
    "seconds_quick",
    "head_seconds",
    "head_vs_sgd",
    "int8_agreement",
    "label_precision",
    "label_recall",
    "unknown_auroc",
)
LIMITS = {
    "yoga8_quick": 0.93,
    "seconds_quick": 60.0,
    "head_seconds": 5.0,
    "head_vs_sgd": 0.9,
    "int8_agreement": 0.99,
    "label_precision": 0.8,
    "label_recall": 0.8,
    "unknown_auroc": 0.95,
}
SECONDS = ("seconds_quick", "head_seconds")  # the lower, the better
ABOVE_SCRATCH = 0.05
PLOT = Path(__file__).parent.parent / "accuracy.png"
TRAININGS = ("scratch", "quick", "best")


def bars(figures: Figures) -> dict[str, Bar]:
    """The bars of what is measured."""
    found = {}
    for name, limit in LIMITS.items():
        if name in figures:
            found[name] = Bar(figures[name], limit, below=name in SECONDS)
    if "yoga8_best" in figures and "yoga8_quick" in figures:
        found["yoga8_best beside yoga8_quick"] = Bar(figures["yoga8_best"], figures["yoga8_quick"])
    if "yoga8_best" in figures and "yoga8_scratch" in figures:
        found["yoga8_best beside yoga8_scratch"] = Bar(
            figures["yoga8_best"], figures["yoga8_scratch"] + ABOVE_SCRATCH
        )
    return found


def table(figures: Figures) -> str:
    """What is measured, as Markdown, and the bars."""
    rows = ["| figure | measured |", "|---|---:|"]
    rows += [f"| {name} | {_text(figures, name)} |" for name in NAMES]
    return "\n".join([*rows, "", *bar_rows(bars(figures))])


def last_line(figures: Figures) -> str:
    words = [f"{name}={_text(figures, name)}" for name in NAMES]
    return f"bench-accuracy: {' '.join(words)}"


def _text(figures: Figures, name: str) -> str:
    if name not in figures:
        return "none"
    digits = 1 if name in SECONDS else 4
    return f"{figures[name]:.{digits}f}"


def section(figures: Figures, bench: Bench) -> str:
    """For bench/RESULTS.md."""
    about = (
        f"{machine()}. yoga8_*: test accuracy, the mean of {bench.seeds} splits (0.7, 0.1, 0.2), "
        "each trained with its own seed; seconds_quick: the slowest of its trainings, from the "
        "start of the process to its report. head_*: 6,680 drawn features of 2,048 in 133 classes."
    )
    return "\n".join(
        [
            about,
            "",
            table(figures),
            "",
            f"`{last_line(figures)}`",
            "",
            f"![test accuracy by seed]({PLOT.name})",
        ]
    )


def plot(parts: Parts[Figures], seeds: int) -> None:
    """The test accuracy of each seed, by the way of training."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.4), dpi=130)
    for place, name in enumerate(TRAININGS):
        found = [parts.figures(f"{name}-{seed}") for seed in range(seeds)]
        values = [figures["accuracy"] for figures in found if figures]
        axes.plot([place] * len(values), values, "o", color="#3567a5", alpha=0.7)
        if values:
            mean = sum(values) / len(values)
            axes.hlines(mean, place - 0.2, place + 0.2, color="#c0563b", linewidth=2)
    axes.set_xticks(range(len(TRAININGS)), [f"{name}" for name in TRAININGS])
    axes.set_xlim(-0.5, len(TRAININGS) - 0.5)
    axes.set_title("test accuracy by seed, and the mean", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(PLOT)
    pyplot.close(figure)
