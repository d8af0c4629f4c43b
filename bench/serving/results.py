"""The serving bench's results: its table, its plot, its last line, and its bars."""

import argparse
from dataclasses import dataclass

from bench.sections import RESULTS, Bar, bar_rows, machine, replace_section

TITLE = "## Serving"
SHARES = {"bf16": 2.5, "int8": 4.0}  # least ratios of our rate to a peer's, by precision
PEERS = ("mms", "litserve")
AT = 4  # connections that the bars are of
PLOT = RESULTS.with_name("serve.png")
COLOURS = {
    "slipway-int8": "#0b6e4f",
    "slipway-bf16": "#4cb08a",
    "mms": "#b0b7bf",
    "litserve": "#7d8791",
}


@dataclass(frozen=True)
class Results:
    """Figures of the servers, by name and connections. Sizes in MB (10^6)."""

    rates: dict[str, dict[int, float]]  # requests/s
    p50_ms: dict[str, dict[int, float]]
    p99_ms: dict[str, dict[int, float]]
    engine: dict[str, float]  # the bare loop's photos/s, by precision
    start_s: dict[str, float]
    pss_mb: dict[str, float]
    image_mb: float
    agreement: dict[str, float]  # share of photos, by engine

    def ratio(self, precision: str, peer: str, connections: int) -> float:
        """Our rate as a multiple of a peer's."""
        ours = self.rates[f"slipway-{precision}"]
        return ours[connections] / self.rates[peer][connections]

    def bars(self) -> dict[str, Bar]:
        """The numbers of the last line with their limits, in its order."""
        ours = [f"slipway-{precision}" for precision in SHARES]
        bars = {}
        for peer in PEERS:
            for precision, least in SHARES.items():
                ratio = self.ratio(precision, peer, AT)
                bars[f"vs_{peer}_{precision}"] = Bar(ratio, least)
        of_engine = []  # what HTTP and batching leave of the bare engine's rate
        for precision in SHARES:
            rate = self.rates[f"slipway-{precision}"][AT]
            of_engine.append(rate / self.engine[precision])
        p99_ms = max(self.p99_ms[name][AT] for name in ours)
        start_s = max(self.start_s[name] for name in ours)
        pss_mb = max(self.pss_mb[name] for name in ours)
        return bars | {
            "of_engine": Bar(min(of_engine), 0.85),
            "p99_ms": Bar(p99_ms, self.p50_ms["mms"][AT], below=True),
            "start_s": Bar(start_s, 2.0, below=True),
            "pss_mb": Bar(pss_mb, 450.0, below=True),
            "image_mb": Bar(self.image_mb, 450.0, below=True),
            "agreement": Bar(min(self.agreement.values()), 0.99),
        }

    def line(self) -> str:
        """The last line."""
        value = {name: bar.value for name, bar in self.bars().items()}
        return (
            f"bench-serve: vs_mms_bf16={value['vs_mms_bf16']:.2f} "
            f"vs_mms_int8={value['vs_mms_int8']:.2f} "
            f"vs_litserve_bf16={value['vs_litserve_bf16']:.2f} "
            f"vs_litserve_int8={value['vs_litserve_int8']:.2f} "
            f"of_engine={value['of_engine']:.2f} p99_ms={value['p99_ms']:.0f} "
            f"peer_p50_ms={self.p50_ms['mms'][AT]:.0f} start_s={value['start_s']:.2f} "
            f"peer_start_s={self.start_s['mms']:.2f} pss_mb={value['pss_mb']:.0f} "
            f"image_mb={value['image_mb']:.0f} agreement={value['agreement']:.4f}"
        )

    def table(self) -> str:
        """All figures, as Markdown."""
        shares = [f"{name} {share:.4f}" for name, share in self.agreement.items()]
        agreement = f"Top-1 agreement with f32 torch on the same pixels: {', '.join(shares)}."
        parts = [self._server_rows(), self._ratio_rows(), bar_rows(self.bars()), [agreement]]
        return "\n\n".join("\n".join(part) for part in parts)

    def _server_rows(self) -> list[str]:
        connections = list(self.rates[PEERS[0]])
        heads = "".join(f" {count} conn., req/s |" for count in connections)
        rows = [
            f"| server |{heads} p50 / p99 ms at {AT} | start s | memory MB |",
            "|---|" + "---:|" * (len(connections) + 3),
        ]
        for name, by_connections in self.rates.items():
            rates = "".join(f" {rate:.1f} |" for rate in by_connections.values())
            latencies = f"{self.p50_ms[name][AT]:.0f} / {self.p99_ms[name][AT]:.0f}"
            rest = f"{self.start_s[name]:.2f} | {self.pss_mb[name]:.0f}"
            rows.append(f"| {name} |{rates} {latencies} | {rest} |")
        for precision, rate in self.engine.items():
            empty = " |" * (len(connections) + 2)
            rows.append(f"| bare engine {precision}, no HTTP | {rate:.1f} |{empty}")
        return rows

    def _ratio_rows(self) -> list[str]:
        connections = list(self.rates[PEERS[0]])
        heads = "".join(f" {count} conn. |" for count in connections)
        columns = len(connections) + 1
        rows = [f"| ratio |{heads} bar |", "|---|" + "---:|" * columns]
        for peer in PEERS:
            for precision, least in SHARES.items():
                ratios = [self.ratio(precision, peer, count) for count in connections]
                cells = "".join(f" {ratio:.2f} |" for ratio in ratios)
                rows.append(f"| {precision} / {peer} |{cells} {least:g} |")
        return rows


def write_section(results: Results, options: argparse.Namespace) -> None:
    """Replace this bench's section of the results."""
    about = (
        f"`make bench-serve`, {machine()}; ResNet50, 133 classes, 500x375 JPEG, medians of "
        f"{options.rounds} rounds of {options.seconds:g} s. Peers: multi-model-server with "
        "sagemaker-inference (a worker for each core), LitServe (one worker), both around eager "
        "f32 torch. start: from `docker run` to the first 200 on /ping; of peers to the first "
        "answer. memory: proportional set size of all processes after the load."
    )
    plot = f"![requests per second]({PLOT.name})"
    text = f"{about}\n\n{results.table()}\n\n`{results.line()}`\n\n{plot}"
    replace_section(TITLE, text)


def write_plot(results: Results) -> None:
    """Requests/s by connections, a bar for each server; readable when small."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=130)
    for place, (name, colour) in enumerate(COLOURS.items()):
        rates = list(results.rates[name].values())
        lefts = [index + (place - 1.5) * 0.2 for index in range(len(rates))]
        bars = axes.bar(lefts, rates, 0.19, label=name, color=colour)
        texts = [f"{rate:.0f}" for rate in rates]
        axes.bar_label(bars, texts, fontsize=11)
    counts = results.rates[PEERS[0]]
    labels = [f"{count} conn." for count in counts]
    axes.set_xticks(range(len(labels)), labels, fontsize=12)
    axes.set_ylabel("requests per second", fontsize=12)
    axes.set_title("ResNet50, requests per second by connections", fontsize=13)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(y=0.1)
    figure.legend(
        frameon=False, ncols=4, fontsize=11, loc="lower center", columnspacing=1.2, handlelength=1.2
    )
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(PLOT)
