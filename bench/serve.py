"""python bench/serve.py: our server against multi-model-server and LitServe, both around eager torch, in one run.

Same machine, same trained ResNet50 of 133 classes, same photos (500x375 JPEG), each in its container, one under load at a time
while the others are paused, in rounds. Needs a Docker engine with slipway-serve and slipway-train (`make images`). Writes its
section of bench/RESULTS.md and bench/serve.png; trains the model first where out/bench has none (minutes).
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

BENCH = Path(__file__).resolve().parent
sys.path[:0] = [str(BENCH), str(BENCH.parent)]

from serving.contestants import (
    Contestant,
    bare_engine,
    build_peers,
    contestants,
    image_bytes,
    reference_labels,
)  # noqa: E402
from serving.model import trained_model  # noqa: E402
from serving.results import Outcome, write_plot, write_section  # noqa: E402

from runtime.load import Answer, Load, load  # noqa: E402

CONNECTIONS = (1, 4, 16)
AT = 4  # connections that the last line's ratios are of
WARM_S = 3.0
PRECISIONS = ("bf16", "int8")


@dataclass
class Measured:
    """Of one server at one number of connections, a value a round: requests/s, and latencies in seconds."""

    rates: list[float] = field(default_factory=list)
    p50_s: list[float] = field(default_factory=list)
    p99_s: list[float] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-serve", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--out", type=Path, default=BENCH.parent / "out" / "bench", help="where the model is kept"
    )
    parser.add_argument("--fresh", action="store_true", help="train the model anew")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args()
    try:
        return bench(options)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench-serve: failed: {error}", file=sys.stderr)
        return 1


def bench(options: argparse.Namespace) -> int:
    model, photos = trained_model(options.out.absolute(), options.fresh)
    print("bench-serve: building the peers' image", flush=True)
    build_peers()
    bodies = {
        str(path.relative_to(photos)): path.read_bytes() for path in sorted(photos.rglob("*.jpg"))
    }
    labels = reference_labels(model, photos)
    servers = contestants(len(os.sched_getaffinity(0)))
    try:
        for server in servers:
            server.start(model, next(iter(bodies.values())))
            print(
                f"bench-serve: {server.name} answers {server.start_s:.2f} s after docker run",
                flush=True,
            )
            server.pause()
        measured, engine, seen = rounds(servers, bodies, model, photos, options)
        pss = {}
        for server in servers:
            server.unpause()
            pss[server.name] = server.pss_bytes()
    finally:
        for server in servers:
            server.remove()
    agreement = agreements(labels, seen)
    outcome = Outcome(
        rates={
            name: {connections: statistics.median(entry.rates) for connections, entry in by.items()}
            for name, by in measured.items()
        },
        p50_ms={
            name: {
                connections: statistics.median(entry.p50_s) * 1000
                for connections, entry in by.items()
            }
            for name, by in measured.items()
        },
        p99_ms={
            name: {
                connections: statistics.median(entry.p99_s) * 1000
                for connections, entry in by.items()
            }
            for name, by in measured.items()
        },
        engine={precision: statistics.median(values) for precision, values in engine.items()},
        start_s={server.name: server.start_s for server in servers},
        pss_mb={name: size / 1e6 for name, size in pss.items()},
        image_mb=image_bytes("slipway-serve") / 1e6,
        agreement=agreement,
    )
    write_section(BENCH / "RESULTS.md", outcome, options)
    write_plot(BENCH / "serve.png", outcome)
    print(outcome.table(), flush=True)
    print(outcome.line(AT), flush=True)
    return 1 if options.strict and outcome.missed(AT) else 0


def rounds(
    servers: list[Contestant],
    bodies: dict[str, bytes],
    model: Path,
    photos: Path,
    options: argparse.Namespace,
) -> tuple[dict, dict, dict]:
    """Measurements by server and connections, the bare engine's rates, and every engine's labels, by rounds through all."""
    measured = {
        server.name: {connections: Measured() for connections in CONNECTIONS} for server in servers
    }
    engine: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    seen: dict[str, dict[str, str]] = {}
    for number in range(options.rounds):
        for connections in CONNECTIONS:
            for server in servers:
                server.unpause()
                labels = seen.setdefault(server.name, {})
                measure(server, bodies, connections, WARM_S if number == 0 else 0.5, labels)
                result = measure(server, bodies, connections, options.seconds, labels)
                server.pause()
                entry = measured[server.name][connections]
                entry.rates.append(result.rate)
                entry.p50_s.append(result.percentile_s(0.5))
                entry.p99_s.append(result.percentile_s(0.99))
                print(
                    f"bench-serve: round {number + 1}, {connections} connections, {server.name}: {result.rate:.1f}/s, p50 {result.percentile_s(0.5) * 1000:.0f} ms",
                    flush=True,
                )
        for precision in PRECISIONS:
            bare = bare_engine(model, photos, precision, options.seconds)
            engine[precision].append(bare["rate"])
            seen[f"engine-{precision}"] = bare["labels"]
            print(
                f"bench-serve: round {number + 1}, bare engine {precision}: {bare['rate']:.1f}/s",
                flush=True,
            )
    seen["engine-f32"] = bare_engine(model, photos, "f32", 0.0)["labels"]
    return measured, engine, seen


def measure(
    server: Contestant,
    bodies: dict[str, bytes],
    connections: int,
    seconds: float,
    labels: dict[str, str],
) -> Load:
    """Load for a time. RuntimeError for an answer that is none, or that differs from an earlier one to the same photo."""
    requests = itertools.cycle([server.request(name, body) for name, body in bodies.items()])
    until = time.monotonic() + seconds

    def answered(answer: Answer) -> None:
        if answer.status != 200:
            raise RuntimeError(
                f"{server.name} answered {answer.request.name} with {answer.status}: {answer.body[:200]!r} {answer.error}"
            )
        label = json.loads(answer.body)["predictions"][0]["label"]
        if labels.setdefault(answer.request.name, label) != label:
            raise RuntimeError(
                f"{server.name} answered {answer.request.name} with '{label}' after '{labels[answer.request.name]}'"
            )

    return load(
        server.url,
        lambda: next(requests) if time.monotonic() < until else None,
        connections,
        answered,
    )


def agreements(
    labels: dict[str, dict[str, str]], seen: dict[str, dict[str, str]]
) -> dict[str, float]:
    """The share of photos on which each engine's top label is that of f32 torch on the same pixels."""
    wanted = {name: entry["reference"] for name, entry in labels.items()}
    ours = {
        name: answers for name, answers in seen.items() if name.startswith(("slipway", "engine"))
    }
    ours["torch-engine"] = {name: entry["engine"] for name, entry in labels.items()}
    return {
        name: sum(answers[photo] == wanted[photo] for photo in answers) / len(answers)
        for name, answers in ours.items()
    }


if __name__ == "__main__":
    sys.exit(main())
