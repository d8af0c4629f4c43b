"""What the training bench found: its table, its plot, its last line, and which bars were missed."""

import statistics
from dataclasses import dataclass
from pathlib import Path

from sections import machine, replace_section

TITLE = "## Training"


@dataclass(frozen=True)
class Outcome:
    """Seconds of whole runs and validation accuracies, one a seed; trial: seconds; rates: photos/s with all layers of "loop" and
    "ours"; feeding: photos/s of the input path ("first", "again") and of the "step"; peak: bytes; card: rates of ResNet50 on a GPU
    and the "share" of its bfloat16 limit, empty without one."""

    loop_s: list[float]
    ours_s: list[float]
    trial_s: float
    rates: dict[str, float]
    feeding: dict[str, float]
    peak: int
    accuracy: list[float]
    loop_accuracy: list[float]
    card: dict[str, float]

    def bars(self) -> dict[str, tuple[float, float, bool]]:
        """For each number of the last line: the number, its bar, and whether it must be lower."""
        loop = statistics.median(self.loop_s)
        return {
            "frozen_vs_loop": (loop / statistics.median(self.ours_s), 15.0, False),
            "trial_vs_loop": (loop / self.trial_s, 150.0, False),
            "all_layers_vs_loop": (self.rates["ours"] / self.rates["loop"], 2.0, False),
            "input_vs_step": (self.feeding["again"] / self.feeding["step"], 2.0, False),
            "peak_gib": (self.peak / 2**30, 3.0, True),
            **(
                {"gpu_vs_loop": (self.card["ours"] / self.card["loop"], 1.5, False)}
                if self.card
                else {}
            ),
        }

    def missed(self) -> list[str]:
        """Names of the bars that were not met."""
        return [
            name
            for name, (value, bar, lower) in self.bars().items()
            if not (value < bar if lower else value >= bar)
        ]

    def line(self) -> str:
        """The last line."""
        numbers = " ".join(f"{name}={value:.2f}" for name, (value, _, _) in self.bars().items())
        return f"bench-train: {numbers} accuracy={statistics.mean(self.accuracy):.3f} loop_accuracy={statistics.mean(self.loop_accuracy):.3f}"

    def table(self) -> str:
        """All of it, as Markdown."""
        seconds = [
            ", ".join(f"{value:.1f}" for value in values) for values in (self.loop_s, self.ours_s)
        ]
        accuracies = [
            ", ".join(f"{value:.3f}" for value in values)
            for values in (self.loop_accuracy, self.accuracy)
        ]
        rows = [
            "| | plain loop | ours |",
            "|---|---:|---:|",
            f"| VGG16, last layer, 10 epochs: seconds of the whole process, a seed each | {seconds[0]} | {seconds[1]} |",
            f"| accuracy on 50 held-out photos after the last epoch | {accuracies[0]} | {accuracies[1]} |",
            f"| one more trial on the same photos, seconds | | {self.trial_s:.2f} |",
            f"| ResNet18, all layers, photos/s after the first epoch | {self.rates['loop']:.1f} | {self.rates['ours']:.1f} |",
            f"| input path alone, photos/s: decoding / kept | | {self.feeding['first']:.0f} / {self.feeding['again']:.0f} |",
            f"| step alone, photos/s | | {self.feeding['step']:.1f} |",
        ]
        if self.card:
            rows += [
                f"| ResNet50 on the GPU, all layers, photos/s ({self.card['share']:.0%} of its bfloat16 limit) | {self.card['loop']:.0f} | {self.card['ours']:.0f} |"
            ]
        rows += ["", "| bar | measured | wanted | met |", "|---|---:|---:|---|"]
        return "\n".join(
            rows
            + [
                f"| {name} | {value:.3g} | {'under' if lower else 'at least'} {bar:.3g} | {'no' if name in self.missed() else 'yes'} |"
                for name, (value, bar, lower) in self.bars().items()
            ]
        )


def write_section(path: Path, outcome: Outcome) -> None:
    """Replace this bench's section of the results."""
    about = (
        f"`make bench-train`, {machine()}; 200 photos of 500x375 in 10 classes, 50 held out. The plain loop: torchvision's folders, transforms and network, "
        "a DataLoader of two workers, f32, every epoch through all of it. Ours: the whole of `python -m train`, artifact exported and measured."
    )
    replace_section(
        path,
        TITLE,
        f"{about}\n\n{outcome.table()}\n\n`{outcome.line()}`\n\n![seconds and photos per second](train.png)",
    )


def write_plot(path: Path, outcome: Outcome) -> None:
    """Seconds of the frozen setting and photos/s with all layers, the loop beside ours."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(7, 3.6), dpi=130)
    values = [statistics.median(outcome.loop_s), statistics.median(outcome.ours_s), outcome.trial_s]
    bars = left.bar(
        ["plain loop", "ours", "next trial"], values, color=["#b0b7bf", "#0b6e4f", "#4cb08a"]
    )
    left.bar_label(bars, [f"{value:.3g} s" for value in values], fontsize=11)
    left.set_title("VGG16, last layer, 10 epochs: seconds", fontsize=11)
    values = [outcome.rates["loop"], outcome.rates["ours"]]
    bars = right.bar(["plain loop", "ours"], values, color=["#b0b7bf", "#0b6e4f"])
    right.bar_label(bars, [f"{value:.1f}" for value in values], fontsize=11)
    right.set_title("ResNet18, all layers: photos per second", fontsize=11)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=11)
        axes.margins(y=0.12)
    figure.tight_layout()
    figure.savefig(path)
