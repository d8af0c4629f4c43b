"""What the serving bench found: its table, its plot, its last line, and which bars were missed."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from sections import machine, replace_section

TITLE = "## Serving"
SHARES = {"bf16": 2.5, "int8": 4.0}


@dataclass(frozen=True)
class Outcome:
    """By server and connections: requests/s, latencies in ms. engine: the bare loop's photos/s by precision. Sizes in MB (10^6)."""

    rates: dict[str, dict[int, float]]
    p50_ms: dict[str, dict[int, float]]
    p99_ms: dict[str, dict[int, float]]
    engine: dict[str, float]
    start_s: dict[str, float]
    pss_mb: dict[str, float]
    image_mb: float
    agreement: dict[str, float]

    def bars(self, at: int) -> dict[str, tuple[float, float, bool]]:
        """For each number of the last line: the number, its bar, and whether it must be lower."""
        ratio = {
            f"vs_{peer}_{precision}": (
                self.rates[f"slipway-{precision}"][at] / self.rates[peer][at],
                SHARES[precision],
                False,
            )
            for peer in ("mms", "litserve")
            for precision in SHARES
        }
        p50 = self.p50_ms["mms"][at]
        return {
            **ratio,
            "of_engine": (
                min(
                    self.rates[f"slipway-{precision}"][at] / self.engine[precision]
                    for precision in SHARES
                ),
                0.85,
                False,
            ),
            "p99_ms": (
                max(self.p99_ms[f"slipway-{precision}"][at] for precision in SHARES),
                p50,
                True,
            ),
            "start_s": (
                max(self.start_s[f"slipway-{precision}"] for precision in SHARES),
                2.0,
                True,
            ),
            "pss_mb": (
                max(self.pss_mb[f"slipway-{precision}"] for precision in SHARES),
                450.0,
                True,
            ),
            "image_mb": (self.image_mb, 450.0, True),
            "agreement": (min(self.agreement.values()), 0.99, False),
        }

    def missed(self, at: int) -> list[str]:
        """Names of the bars that were not met."""
        return [
            name
            for name, (value, bar, lower) in self.bars(at).items()
            if not (value < bar if lower else value >= bar)
        ]

    def line(self, at: int) -> str:
        """The last line."""
        value = {name: number for name, (number, _, _) in self.bars(at).items()}
        return (
            f"bench-serve: vs_mms_bf16={value['vs_mms_bf16']:.2f} vs_mms_int8={value['vs_mms_int8']:.2f} vs_litserve_bf16={value['vs_litserve_bf16']:.2f} "
            f"vs_litserve_int8={value['vs_litserve_int8']:.2f} of_engine={value['of_engine']:.2f} p99_ms={value['p99_ms']:.0f} peer_p50_ms={self.p50_ms['mms'][at]:.0f} "
            f"start_s={value['start_s']:.2f} peer_start_s={self.start_s['mms']:.2f} pss_mb={value['pss_mb']:.0f} image_mb={value['image_mb']:.0f} "
            f"agreement={value['agreement']:.4f}"
        )

    def table(self) -> str:
        """All of it, as Markdown."""
        connections = list(next(iter(self.rates.values())))
        rows = [
            "| server | "
            + " | ".join(f"{count} conn., req/s" for count in connections)
            + " | p50 / p99 ms at 4 | start s | memory MB |",
            "|---|" + "---:|" * (len(connections) + 3),
        ]
        rows += [
            f"| {name} | "
            + " | ".join(f"{rate:.1f}" for rate in by.values())
            + f" | {self.p50_ms[name][4]:.0f} / {self.p99_ms[name][4]:.0f} "
            f"| {self.start_s[name]:.2f} | {self.pss_mb[name]:.0f} |"
            for name, by in self.rates.items()
        ]
        rows += [
            f"| bare engine {precision}, no HTTP | {rate:.1f} |" + " |" * (len(connections) + 2)
            for precision, rate in self.engine.items()
        ]
        rows += [
            "",
            "| ratio | " + " | ".join(f"{count} conn." for count in connections) + " | bar |",
            "|---|" + "---:|" * (len(connections) + 1),
        ]
        rows += [
            f"| {precision} / {peer} | "
            + " | ".join(
                f"{self.rates[f'slipway-{precision}'][count] / self.rates[peer][count]:.2f}"
                for count in connections
            )
            + f" | {SHARES[precision]:g} |"
            for peer in ("mms", "litserve")
            for precision in SHARES
        ]
        rows += ["", "| bar | measured | wanted | met |", "|---|---:|---:|---|"]
        rows += [
            f"| {name} | {value:.3g} | {'under' if lower else 'at least'} {bar:.3g} | {'no' if name in self.missed(4) else 'yes'} |"
            for name, (value, bar, lower) in self.bars(4).items()
        ]
        rows += [
            "",
            "Top-1 agreement with f32 torch on the same pixels: "
            + ", ".join(f"{name} {share:.4f}" for name, share in self.agreement.items())
            + ".",
        ]
        return "\n".join(rows)


def write_section(path: Path, outcome: Outcome, options: argparse.Namespace) -> None:
    """Replace this bench's section of the results."""
    about = (
        f"`make bench-serve`, {machine()}; ResNet50, 133 classes, 500x375 JPEG, medians of {options.rounds} rounds of {options.seconds:g} s. "
        "Peers: multi-model-server with sagemaker-inference (a worker a core), LitServe (one worker), both around eager f32 torch. start: from `docker run` to the first 200 "
        "on /ping; of peers to the first answer. memory: proportional set size of all processes after the load."
    )
    replace_section(
        path,
        TITLE,
        f"{about}\n\n{outcome.table()}\n\n`{outcome.line(4)}`\n\n![requests per second](serve.png)",
    )


def write_plot(path: Path, outcome: Outcome) -> None:
    """Requests/s by connections, a bar a server; readable when small."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=130)
    colours = {
        "slipway-int8": "#0b6e4f",
        "slipway-bf16": "#4cb08a",
        "mms": "#b0b7bf",
        "litserve": "#7d8791",
    }
    names = ["slipway-int8", "slipway-bf16", "mms", "litserve"]
    for place, name in enumerate(names):
        rates = list(outcome.rates[name].values())
        bars = axes.bar(
            [index + (place - 1.5) * 0.2 for index in range(len(rates))],
            rates,
            0.19,
            label=name,
            color=colours[name],
        )
        axes.bar_label(bars, [f"{rate:.0f}" for rate in rates], fontsize=11)
    axes.set_xticks(
        range(len(rates)),
        [f"{count} connection{'s' * (count > 1)}" for count in outcome.rates["mms"]],
        fontsize=12,
    )
    axes.set_ylabel("requests per second", fontsize=12)
    axes.set_title("ResNet50, requests per second", fontsize=13)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.1)
    figure.legend(
        frameon=False, ncols=4, fontsize=11, loc="lower center", columnspacing=1.2, handlelength=1.2
    )
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(path)
