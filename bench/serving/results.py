"""The serving bench's results: its tables, its last line, and its bars."""

import argparse
import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field

from bench.sections import Bar, bar_rows, machine, replace_section
from bench.serving.contestants import BASE64, KINDS, PHONE, PHOTO
from bench.serving.measuring import CONNECTIONS, Cell, Measured

TITLE = "## Serving"
SHARES = {"bf16": 2.5, "int8": 4.0}  # least ratios of our rate to a peer's, by precision
INT8 = "slipway-int8"
SAME_ENGINE = ("ray-int8", "litserve-int8", "bentoml-int8")
EAGER = ("mms", "litserve")
AT = 4  # connections that most bars are of
MANY = 64
NAN = float("nan")


@dataclass(frozen=True)
class Results:
    """Figures of the servers, by name. Sizes in MB (10^6).

    engine: the bare loop's photos/s, by precision; bare_ms: the p50 of its photos with one thread;
    null_ms: that of a server that does nothing; absent: servers that did not start, and why;
    notes: what else a reader must know.
    """

    measured: Measured
    start_s: dict[str, float]
    pss_mb: dict[str, float]
    image_mb: dict[str, float]
    absent: dict[str, str]
    engine: dict[str, float] = field(default_factory=dict)
    bare_ms: float = NAN
    null_ms: float = NAN
    agreement: dict[str, float] = field(default_factory=dict)  # share of photos, by engine
    agreement_photos: int = 0
    notes: tuple[str, ...] = ()

    def figure(self, server: str, connections: int, name: str, kind: str = PHOTO) -> float:
        """The median of a figure; nan where it was not measured."""
        rounds = self.measured.cells.get(Cell(server, kind, connections))
        return rounds.median(name) if rounds else NAN

    def sent_as(self, server: str) -> str:
        """The kind of small photos that a server is compared by: JPEG, where it takes that."""
        return PHOTO if Cell(server, PHOTO, AT) in self.measured.cells else BASE64

    def ratio(self, ours: str, peer: str, connections: int, kind: str = "") -> float:
        """Our rate as a multiple of a peer's, on photos that are sent alike."""
        kind = kind or self.sent_as(peer)
        own = self.figure(ours, connections, "rates", kind)
        return own / self.figure(peer, connections, "rates", kind)

    def best(self, connections: int) -> str:
        """The quickest of the peers around our engine; "" where none was measured."""
        rates = {
            peer: self.figure(peer, connections, "rates", self.sent_as(peer))
            for peer in SAME_ENGINE
        }
        measured = {peer: rate for peer, rate in rates.items() if rate == rate}
        return max(measured, key=lambda peer: measured[peer], default="")

    def own_of_best_ms(self) -> float:
        """What is neither engine nor decoding in an answer of the best peer, at 1 connection."""
        owns = [
            self.figure(peer, 1, "p50_ms", self.sent_as(peer)) - self.bare_ms
            for peer in SAME_ENGINE
        ]
        return least(owns)

    def bars(self) -> dict[str, Bar]:
        """The measured numbers with their limits."""
        return self._rate_bars() | self._cost_bars() | self._same_engine_bars()

    def of_engine(self) -> dict[str, float]:
        """What HTTP and batching leave of the bare engine's rate, by precision."""
        return {
            precision: self.figure(f"slipway-{precision}", AT, "rates") / rate
            for precision, rate in self.engine.items()
        }

    def _rate_bars(self) -> dict[str, Bar]:
        """Against servers around eager torch."""
        bars = {}
        for peer in EAGER:
            for precision, share in SHARES.items():
                ratio = self.ratio(f"slipway-{precision}", peer, AT)
                bars[f"vs_{peer}_{precision}"] = Bar(ratio, share)
        over_ray = least(self.ratio(INT8, "ray", connections) for connections in CONNECTIONS)
        bars["vs_ray_int8"] = Bar(over_ray, 4.0)
        bars["phone_vs_mms_int8"] = Bar(self.ratio(INT8, "mms", AT, PHONE), 3.0)
        return bars

    def _cost_bars(self) -> dict[str, Bar]:
        """Of our server alone, and its answers."""
        ours = [f"slipway-{precision}" for precision in SHARES]
        of_engine = self.of_engine()
        return {
            "of_engine": Bar(least(of_engine.values()), 0.85),
            "of_engine_int8": Bar(of_engine.get("int8", NAN), 0.95),
            "of_engine_bf16": Bar(of_engine.get("bf16", NAN), 0.95),
            "p99_ms": Bar(
                most(self.figure(name, AT, "p99_ms") for name in ours),
                self.figure("mms", AT, "p50_ms"),
                below=True,
            ),
            "start_s": Bar(most(self.start_s.get(name, NAN) for name in ours), 1.2, below=True),
            "pss_mb": Bar(most(self.pss_mb.get(name, NAN) for name in ours), 450.0, below=True),
            "image_mb": Bar(self.image_mb.get(INT8, NAN), 450.0, below=True),
            "pss_int8_mb": Bar(self.pss_mb.get(INT8, NAN), 250.0, below=True),
            "agreement": Bar(least(self.agreement.values()), 0.99),
            "own_ms": Bar(self.figure(INT8, 1, "own_ms"), 0.8, below=True),
        }

    def _same_engine_bars(self) -> dict[str, Bar]:
        """Against the best server around our engine."""
        best = self.best(MANY)
        own_ms = self.figure(INT8, 1, "own_ms")
        return {
            "vs_best_same_engine": Bar(
                least(self.ratio(INT8, self.best(count), count) for count in (AT, MANY)), 1.0
            ),
            "p99_of_best": Bar(
                self.figure(INT8, MANY, "p99_ms", self.sent_as(best))
                / self.figure(best, MANY, "p99_ms", self.sent_as(best)),
                1.0,
                below=True,
            ),
            "own_of_best": Bar(own_ms / self.own_of_best_ms(), 0.5, below=True),
        }

    def line(self) -> str:
        """The last line."""
        value = {name: bar.value for name, bar in self.bars().items()}
        figures = {
            "vs_mms_bf16": (value["vs_mms_bf16"], 2),
            "vs_mms_int8": (value["vs_mms_int8"], 2),
            "vs_litserve_bf16": (value["vs_litserve_bf16"], 2),
            "vs_litserve_int8": (value["vs_litserve_int8"], 2),
            "of_engine": (value["of_engine"], 2),
            "p99_ms": (value["p99_ms"], 0),
            "peer_p50_ms": (self.figure("mms", AT, "p50_ms"), 0),
            "start_s": (value["start_s"], 2),
            "peer_start_s": (self.start_s.get("mms", NAN), 2),
            "pss_mb": (value["pss_mb"], 0),
            "image_mb": (value["image_mb"], 0),
            "agreement": (value["agreement"], 4),
            "vs_ray_int8": (value["vs_ray_int8"], 2),
            "vs_best_same_engine": (value["vs_best_same_engine"], 2),
            "of_engine_int8": (value["of_engine_int8"], 3),
            "phone_vs_mms_int8": (value["phone_vs_mms_int8"], 2),
            "own_ms": (value["own_ms"], 2),
        }
        words = [f"{name}={shown(number, digits)}" for name, (number, digits) in figures.items()]
        return f"bench-serve: {' '.join(words)}"

    def table(self) -> str:
        """All figures, as Markdown."""
        parts = [self._server_rows()]
        parts += [self._kind_rows(kind) for kind in KINDS]
        parts += [bar_rows(self.bars()), [self._own()], [self._agreement()]]
        for title, reasons in (
            ("Servers that did not start:", self.absent),
            ("Left out:", self._left_out()),
            ("Notes:", dict.fromkeys(self.notes, "")),
        ):
            if reasons:
                rows = [f"- {name}: {why}" if why else f"- {name}" for name, why in reasons.items()]
                parts.append([title, "", *rows])
        return "\n\n".join("\n".join(part) for part in parts)

    def _servers(self) -> list[str]:
        return list(dict.fromkeys(cell.server for cell in self.measured.cells))

    def _server_rows(self) -> list[str]:
        rows = [
            "| server | start s | memory MB | image MB | processor s, 1,000 requests |",
            "|---|---:|---:|---:|---:|",
        ]
        for name in self._servers():
            used = self.figure(name, AT, "processor_s", self.sent_as(name))
            cells = (
                shown(self.start_s.get(name, NAN), 2),
                shown(self.pss_mb.get(name, NAN), 0),
                shown(self.image_mb.get(name, NAN), 0),
                shown(used, 1),
            )
            rows.append(f"| {name} | {' | '.join(cells)} |")
        return rows

    def _kind_rows(self, kind: str) -> list[str]:
        """Requests/s, p50 and p99 in milliseconds, by connections."""
        heads = "".join(f" {count} conn. |" for count in CONNECTIONS)
        rows = [
            f"| {KINDS[kind]}: requests/s (p50 / p99 ms) |{heads}",
            "|---|" + "---:|" * len(CONNECTIONS),
        ]
        for name in self._servers():
            cells = [self._cell(name, kind, count) for count in CONNECTIONS]
            if any(cells):
                rows.append(f"| {name} | {' | '.join(cells)} |")
        if kind == PHOTO:
            empty = " |" * (len(CONNECTIONS) - 1)
            for precision, rate in self.engine.items():
                rows.append(f"| bare engine {precision}, no HTTP | {rate:.1f} |{empty}")
        return rows

    def _cell(self, name: str, kind: str, connections: int) -> str:
        rate = self.figure(name, connections, "rates", kind)
        if math.isnan(rate):
            return ""
        p50_ms = self.figure(name, connections, "p50_ms", kind)
        p99_ms = self.figure(name, connections, "p99_ms", kind)
        return f"{rate:.1f} ({p50_ms:.0f} / {p99_ms:.0f})"

    def _own(self) -> str:
        """What own_ms is made of."""
        cell = self.measured.cells.get(Cell(INT8, PHOTO, 1))
        rounds = cell.own_parts if cell else []
        shares = []
        for name in rounds[0] if rounds else ():
            median = statistics.median(parts[name] for parts in rounds)
            shares.append(f"{name} {median:.2f}")
        return (
            f"own_ms of {INT8} is made of, in ms: {', '.join(shares) or 'not measured'}. A server "
            "in such a container that only reads and answers takes, with client and network, "
            f"{shown(self.null_ms, 2)}."
        )

    def _agreement(self) -> str:
        shares = [f"{name} {share:.4f}" for name, share in self.agreement.items()]
        return (
            "Top-1 agreement with f32 torch on the same pixels of "
            f"{self.agreement_photos:,} photos: {', '.join(shares) or 'not measured'}."
        )

    def _left_out(self) -> dict[str, str]:
        """Cells by why they were left out."""
        reasons: dict[str, list[str]] = {}
        for cell, why in self.measured.left_out.items():
            reasons.setdefault(f"{cell.server}, {KINDS[cell.kind]}: {why}", []).append(
                str(cell.connections)
            )
        return {reason: f"{', '.join(counts)} connections" for reason, counts in reasons.items()}


def least(values: Iterable[float]) -> float:
    """The least of the values that were measured; nan where none was."""
    return min((value for value in values if not math.isnan(value)), default=NAN)


def most(values: Iterable[float]) -> float:
    """The greatest of the values that were measured; nan where none was."""
    return max((value for value in values if not math.isnan(value)), default=NAN)


def shown(value: float, digits: int) -> str:
    """A number for people; n/a where it was not measured."""
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def write_section(results: Results, options: argparse.Namespace, plot: str) -> None:
    """Replace this bench's section of the results."""
    about = (
        f"`make bench-serve`, {machine()}; ResNet50, 133 classes, medians of {options.rounds} "
        f"rounds of {options.seconds:g} s. Around our engine in int8, with a worker for each core "
        "and one thread each: Ray Serve (ray-int8), LitServe and BentoML. Around eager f32 torch: "
        "Ray Serve and multi-model-server with sagemaker-inference (a worker for each core), and "
        "LitServe (one worker). start: from `docker run` to the first right answer. memory: "
        "proportional set size of all processes, 6 s after the load. processor: at 4 connections. "
        "own_ms: of an answer at 1 connection what is neither engine nor decoding."
    )
    text = f"{about}\n\n{results.table()}\n\n`{results.line()}`\n\n{plot}"
    replace_section(TITLE, text)
