"""The training bench's results: its table, its plot, its last line, and its bars."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.sections import RESULTS, Bar, bar_rows, machine, replace_section

TITLE = "## Training"
PLOT = RESULTS.with_name("train.png")
LOOP_COLOUR = "#b0b7bf"
OUR_COLOUR = "#0b6e4f"
TRIAL_COLOUR = "#4cb08a"


@dataclass
class Results:
    """Figures of the plain loop and of ours."""

    # of whole runs with one layer training, a value for each seed
    loop_s: list[float] = field(default_factory=list)
    ours_s: list[float] = field(default_factory=list)
    loop_accuracy: list[float] = field(default_factory=list)  # on the validation photos
    accuracy: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)  # our memory, bytes
    trial_s: float = 0.0  # of one more trial in the same process
    rates: dict[str, float] = field(default_factory=dict)  # photos/s, all layers: loop, ours
    # photos/s of the input path (first, again) and of the step
    feeding: dict[str, float] = field(default_factory=dict)

    def bars(self) -> dict[str, Bar]:
        """The numbers of the last line with their limits, in its order."""
        loop_s = statistics.median(self.loop_s)
        ours_s = statistics.median(self.ours_s)
        all_layers = self.rates["ours"] / self.rates["loop"]
        feeding = self.feeding["again"] / self.feeding["step"]
        return {
            "frozen_vs_loop": Bar(loop_s / ours_s, 15.0),
            "trial_vs_loop": Bar(loop_s / self.trial_s, 150.0),
            "all_layers_vs_loop": Bar(all_layers, 2.0),
            "input_vs_step": Bar(feeding, 2.0),
            "peak_gib": Bar(max(self.peaks) / 2**30, 3.0, below=True),
        }

    def line(self) -> str:
        """The last line."""
        numbers = [f"{name}={bar.value:.2f}" for name, bar in self.bars().items()]
        accuracy = statistics.mean(self.accuracy)
        loop_accuracy = statistics.mean(self.loop_accuracy)
        accuracies = f"accuracy={accuracy:.3f} loop_accuracy={loop_accuracy:.3f}"
        return f"bench-train: {' '.join(numbers)} {accuracies}"

    def table(self) -> str:
        """All figures, as Markdown."""
        feeding = f"{self.feeding['first']:.0f} / {self.feeding['again']:.0f}"
        rows = [
            "| | plain loop | ours |",
            "|---|---:|---:|",
            _row(
                "VGG16, last layer, 10 epochs: seconds of the whole process, a seed each",
                _listed(self.loop_s, 1),
                _listed(self.ours_s, 1),
            ),
            _row(
                "accuracy on 50 held-out photos after the last epoch",
                _listed(self.loop_accuracy, 3),
                _listed(self.accuracy, 3),
            ),
            f"| one more trial on the same photos, seconds | | {self.trial_s:.2f} |",
            _row(
                "ResNet18, all layers, photos/s after the first epoch",
                f"{self.rates['loop']:.1f}",
                f"{self.rates['ours']:.1f}",
            ),
            f"| input path alone, photos/s: decoding / kept | | {feeding} |",
            f"| step alone, photos/s | | {self.feeding['step']:.1f} |",
        ]
        return "\n".join([*rows, "", *bar_rows(self.bars())])


def _row(what: str, loop: str, ours: str) -> str:
    return f"| {what} | {loop} | {ours} |"


def _listed(values: Sequence[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def write_section(results: Results) -> None:
    """Replace this bench's section of the results."""
    about = (
        f"`make bench-train`, {machine()}; 200 photos of 500x375 in 10 classes, 50 held out. "
        "The plain loop: torchvision's folders, transforms and network, a DataLoader of two "
        "workers, f32, every epoch through all of it. Ours: the whole of `python -m train`, "
        "artifact exported and measured."
    )
    plot = f"![seconds and photos per second]({PLOT.name})"
    text = f"{about}\n\n{results.table()}\n\n`{results.line()}`\n\n{plot}"
    replace_section(TITLE, text)


def write_plot(results: Results) -> None:
    """Seconds with one layer training, and photos/s with all layers; the loop beside ours."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 3.6), dpi=130)
    loop_s = statistics.median(results.loop_s)
    ours_s = statistics.median(results.ours_s)
    seconds = [loop_s, ours_s, results.trial_s]
    colours = [LOOP_COLOUR, OUR_COLOUR, TRIAL_COLOUR]
    bars = left.bar(["plain loop", "ours", "next trial"], seconds, color=colours)
    texts = [f"{value:.3g} s" for value in seconds]
    left.bar_label(bars, texts, fontsize=11)
    left.set_title("VGG16, last layer, 10 epochs: seconds", fontsize=11)
    rates = [results.rates["loop"], results.rates["ours"]]
    bars = right.bar(["plain loop", "ours"], rates, color=colours[:2])
    texts = [f"{value:.1f}" for value in rates]
    right.bar_label(bars, texts, fontsize=11)
    right.set_title("ResNet18, all layers: photos per second", fontsize=11)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=11)
        axes.margins(y=0.12)
    figure.tight_layout()
    figure.savefig(PLOT)
