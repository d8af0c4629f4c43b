"""python -m bench.serve: our server against multi-model-server and LitServe, in one run.

Both peers run eager torch. Same machine, same trained ResNet50 of 133 classes, same photos (500x375
JPEG), each server in its container, one under load at a time while the others are paused, in
rounds. It needs a Docker engine with slipway-serve and slipway-train (`make images`). It writes its
section of bench/RESULTS.md and bench/serve.png, and first trains the model where out/bench has none
(40 minutes).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from artifact.listening import ask_loopback_directly
from bench.sections import OUT, missed
from bench.serving.containers import bare_engine, build_peers, image_bytes, reference_labels
from bench.serving.contestants import Contestant, contestants
from bench.serving.model import trained_model
from bench.serving.results import Results, write_plot, write_section
from runtime.load import Answer, Load, lasting, load

CONNECTIONS = (1, 4, 16)
WARM_S = 3.0  # of load before a server's first measurement
REWARM_S = 0.5  # of load before its later ones
PRECISIONS = ("bf16", "int8")

Labels = dict[str, dict[str, str]]  # engine: photo: top label


@dataclass
class Rounds:
    """One server at one number of connections, a value for each round."""

    rates: list[float] = field(default_factory=list)  # requests/s
    p50_s: list[float] = field(default_factory=list)
    p99_s: list[float] = field(default_factory=list)

    def p50_ms(self) -> list[float]:
        return [1000 * value for value in self.p50_s]

    def p99_ms(self) -> list[float]:
        return [1000 * value for value in self.p99_s]


@dataclass
class Measured:
    """All measurements of a run."""

    servers: dict[str, dict[int, Rounds]]  # by name and connections
    engine: dict[str, list[float]]  # the bare engine's photos/s in each round, by precision
    labels: Labels = field(default_factory=dict)

    def medians(self, figure: Callable[[Rounds], list[float]]) -> dict[str, dict[int, float]]:
        """The median of a figure over the rounds."""
        found: dict[str, dict[int, float]] = {}
        for name, by_connections in self.servers.items():
            found[name] = {}
            for connections, rounds in by_connections.items():
                found[name][connections] = statistics.median(figure(rounds))
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-serve", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT / "bench", help="where the model is kept")
    parser.add_argument("--fresh", action="store_true", help="train the model anew")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args()
    ask_loopback_directly()
    try:
        return bench(options)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"bench-serve: failed: {error}", file=sys.stderr)
        return 1


def bench(options: argparse.Namespace) -> int:
    out = options.out.absolute()
    model, photos = trained_model(out, options.fresh)
    print("bench-serve: building the peers' image", flush=True)
    build_peers()
    bodies = {}
    for path in sorted(photos.rglob("*.jpg")):
        name = str(path.relative_to(photos))
        bodies[name] = path.read_bytes()
    reference = reference_labels(model, photos)
    servers = contestants(len(os.sched_getaffinity(0)))
    pss_mb = {}
    first = next(iter(bodies.values()))
    try:
        for server in servers:
            server.start(model, first)
            start = f"answers {server.start_s:.2f} s after docker run"
            print(f"bench-serve: {server.name} {start}", flush=True)
            server.pause()  # so that it takes no processor time from the others
        measured = measure_rounds(servers, bodies, model, photos, options)
        for server in servers:
            server.unpause()
            pss_mb[server.name] = server.pss_bytes() / 1e6
    finally:
        for server in servers:
            server.remove()
    engine = {name: statistics.median(rates) for name, rates in measured.engine.items()}
    results = Results(
        rates=measured.medians(lambda rounds: rounds.rates),
        p50_ms=measured.medians(Rounds.p50_ms),
        p99_ms=measured.medians(Rounds.p99_ms),
        engine=engine,
        start_s={server.name: server.start_s for server in servers},
        pss_mb=pss_mb,
        image_mb=image_bytes("slipway-serve") / 1e6,
        agreement=agreements(reference, measured.labels),
    )
    write_section(results, options)
    write_plot(results)
    print(results.table(), flush=True)
    print(results.line(), flush=True)
    return int(options.strict and bool(missed(results.bars())))


def measure_rounds(
    servers: list[Contestant],
    bodies: dict[str, bytes],
    model: Path,
    photos: Path,
    options: argparse.Namespace,
) -> Measured:
    """Every server at every number of connections and the bare engine, in each round."""
    measured = Measured(servers={}, engine={precision: [] for precision in PRECISIONS})
    for server in servers:
        measured.servers[server.name] = {count: Rounds() for count in CONNECTIONS}
    for number in range(1, options.rounds + 1):
        warm_s = REWARM_S
        if number == 1:
            warm_s = WARM_S
        for connections in CONNECTIONS:
            for server in servers:
                labels = measured.labels.setdefault(server.name, {})
                server.unpause()
                measure(server, bodies, connections, warm_s, labels)
                result = measure(server, bodies, connections, options.seconds, labels)
                server.pause()
                rounds = measured.servers[server.name][connections]
                rounds.rates.append(result.rate)
                rounds.p50_s.append(result.percentile_s(0.5))
                rounds.p99_s.append(result.percentile_s(0.99))
                figures = f"{result.rate:.1f}/s, p50 {rounds.p50_s[-1] * 1000:.0f} ms"
                where = f"round {number}, {connections} connections, {server.name}"
                print(f"bench-serve: {where}: {figures}", flush=True)
        for precision in PRECISIONS:
            bare = bare_engine(model, photos, precision, options.seconds)
            measured.engine[precision].append(bare["rate"])
            measured.labels[f"engine-{precision}"] = bare["labels"]
            where = f"round {number}, bare engine {precision}"
            print(f"bench-serve: {where}: {bare['rate']:.1f}/s", flush=True)
    measured.labels["engine-f32"] = bare_engine(model, photos, "f32", 0.0)["labels"]
    return measured


def measure(
    server: Contestant,
    bodies: dict[str, bytes],
    connections: int,
    seconds: float,
    labels: dict[str, str],
) -> Load:
    """Load for a time; `labels` takes the top label of each photo.

    RuntimeError for an answer that is not 200, or that differs from an earlier one to the same
    photo.
    """
    requests = [server.request(name, body) for name, body in bodies.items()]

    def answered(answer: Answer) -> None:
        photo = answer.request.name
        if answer.status != 200:
            found = f"{answer.status}: {answer.body[:200]!r} {answer.error}"
            raise RuntimeError(f"{server.name} answered {photo} with {found}")
        [prediction] = json.loads(answer.body)["predictions"]
        label = prediction["label"]
        before = labels.setdefault(photo, label)
        if before != label:
            raise RuntimeError(f"{server.name} answered {photo} with '{label}' after '{before}'")

    return load(server.url, lasting(requests, seconds), connections, answered)


def agreements(reference: dict[str, dict[str, str]], seen: Labels) -> dict[str, float]:
    """The share of photos with the same top label as f32 torch's, for each of our engines."""
    wanted = {photo: labels["reference"] for photo, labels in reference.items()}
    shares = {}
    for name, answers in seen.items():
        if name.startswith(("slipway", "engine")):
            shares[name] = _share(answers, wanted)
    torch_engine = {photo: labels["engine"] for photo, labels in reference.items()}
    return shares | {"torch-engine": _share(torch_engine, wanted)}


def _share(answers: dict[str, str], wanted: dict[str, str]) -> float:
    same = [label == wanted[photo] for photo, label in answers.items()]
    return sum(same) / len(same)


if __name__ == "__main__":
    sys.exit(main())
